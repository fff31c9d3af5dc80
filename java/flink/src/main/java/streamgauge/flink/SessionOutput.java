package streamgauge.flink;

/** Where a user's sessions go. */
interface SessionOutput {
  /** A row of the table of sessions. */
  void row(Session session, boolean isDeleted, long version);

  /** By how much the rollups change in the minute and dimensions of a session. */
  void rollup(Contribution change);

  /** What a closed session adds to the rollups; texts are null where unknown. */
  record Contribution(
      long minuteMs,
      String country,
      String device,
      String entryPage,
      double sessions,
      double sessionSeconds,
      double bounces) {
    private static final long MINUTE_MS = 60_000;

    static Contribution of(Session session) {
      return new Contribution(
          session.start - session.start % MINUTE_MS,
          session.country,
          session.device,
          session.entryPage,
          1,
          (session.end - session.start) / 1000.0,
          session.events == 1 ? 1 : 0);
    }
  }
}
