package streamgauge.flink;

/**
 * What a session takes from an event. Times in ms; texts may be null or empty. {@code identified} is the user that an
 * anonymous visitor is known to be. {@code offset} in its partition of the log: by
 * it events of the same time are ordered, as Flink doesn't bring those of a user in order where they were shared out before.
 */
record SessionEvent(
    long timestampMs,
    long receivedMs,
    long offset,
    boolean isPageView,
    String page,
    String country,
    String device,
    String identified) {}
