package streamgauge.flink;

import java.util.List;

/** What is kept of one user in Flink's state: public fields and no constructor. Times in ms. */
public final class UserMemory {
  /** By their start. */
  public List<Session> sessions;

  /** Of the row that was told last. */
  public long version;

  /** The arguments of the call, which timers don't get. */
  public long gapMs;

  public long keepMs;
  public long everyMs;

  /** When the timer is set to; 0 for none. */
  public long timerMs;
}
