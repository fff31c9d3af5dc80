package streamgauge.flink;

/** What a record of the log lacks to be an envelope. It carries no stack: there may be many, and none is a bug. */
final class Malformed extends RuntimeException {
  Malformed(String why) {
    super(why, null, false, false);
  }
}
