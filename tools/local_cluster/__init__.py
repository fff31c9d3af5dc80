"""The servers of the cluster profile, as processes of this machine: for tests, and for `make up-cluster`."""
