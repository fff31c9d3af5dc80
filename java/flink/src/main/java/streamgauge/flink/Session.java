package streamgauge.flink;

/** A session of one user, as it is kept in Flink's state: public fields and no constructor. Times in ms. */
public final class Session {
  /** The time of a first text that no event had. */
  static final long NEVER = Long.MAX_VALUE;

  /** When its first event in the log was; what the session is known by. */
  public long opened;

  public long start;
  public long end;
  public long received;
  public long events;
  public long pageViews;
  public String entryPage;
  public long entryPageMs = NEVER;
  public long entryPageOffset;
  public String exitPage;
  public long exitPageMs = -1;
  public long exitPageOffset;
  public String country;
  public long countryMs = NEVER;
  public long countryOffset;
  public String device;
  public long deviceMs = NEVER;
  public long deviceOffset;
  public String identified;
  public long identifiedMs = -1;
  public long identifiedOffset;
  public boolean closed;

  /** Whether the store knows it otherwise, and by which time of receipt it was told last. */
  public boolean unwritten;

  public long writtenMs;

  /** The session that one event is alone. An empty text is none. */
  static Session of(SessionEvent event) {
    Session session = new Session();
    session.opened = session.start = session.end = event.timestampMs();
    session.received = event.receivedMs();
    session.events = 1;
    session.pageViews = event.isPageView() ? 1 : 0;
    if (isText(event.page())) {
      session.entryPage = session.exitPage = event.page();
      session.entryPageMs = session.exitPageMs = event.timestampMs();
      session.entryPageOffset = session.exitPageOffset = event.offset();
    }
    if (isText(event.country())) {
      session.country = event.country();
      session.countryMs = event.timestampMs();
      session.countryOffset = event.offset();
    }
    if (isText(event.device())) {
      session.device = event.device();
      session.deviceMs = event.timestampMs();
      session.deviceOffset = event.offset();
    }
    if (isText(event.identified())) {
      session.identified = event.identified();
      session.identifiedMs = event.timestampMs();
      session.identifiedOffset = event.offset();
    }
    return session;
  }

  /** Add another. Of texts of the same time, the first in the log is first, and the last is last. */
  void join(Session other) {
    if (isBefore(other.entryPageMs, other.entryPageOffset, entryPageMs, entryPageOffset)) {
      entryPage = other.entryPage;
      entryPageMs = other.entryPageMs;
      entryPageOffset = other.entryPageOffset;
    }
    if (isBefore(other.countryMs, other.countryOffset, countryMs, countryOffset)) {
      country = other.country;
      countryMs = other.countryMs;
      countryOffset = other.countryOffset;
    }
    if (isBefore(other.deviceMs, other.deviceOffset, deviceMs, deviceOffset)) {
      device = other.device;
      deviceMs = other.deviceMs;
      deviceOffset = other.deviceOffset;
    }
    if (isBefore(exitPageMs, exitPageOffset, other.exitPageMs, other.exitPageOffset)) {
      exitPage = other.exitPage;
      exitPageMs = other.exitPageMs;
      exitPageOffset = other.exitPageOffset;
    }
    if (isBefore(identifiedMs, identifiedOffset, other.identifiedMs, other.identifiedOffset)) {
      identified = other.identified;
      identifiedMs = other.identifiedMs;
      identifiedOffset = other.identifiedOffset;
    }
    start = Math.min(start, other.start);
    end = Math.max(end, other.end);
    received = Math.max(received, other.received);
    events += other.events;
    pageViews += other.pageViews;
  }

  private static boolean isBefore(long ms, long offset, long otherMs, long otherOffset) {
    return ms < otherMs || (ms == otherMs && offset < otherOffset);
  }

  private static boolean isText(String text) {
    return text != null && !text.isEmpty();
  }
}
