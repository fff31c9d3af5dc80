package streamgauge.flink;

import static org.apache.flink.table.annotation.ArgumentTrait.REQUIRE_ON_TIME;
import static org.apache.flink.table.annotation.ArgumentTrait.SET_SEMANTIC_TABLE;

import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/**
 * {@code sessions(input => TABLE counted PARTITION BY who, gap_ms => …, keep_ms => …, every_ms => …, on_time =>
 * DESCRIPTOR(received))}: sessions as rows of their table, and by how much the rollups change. Rows without {@code who} have no
 * session. See {@link UserSessions}.
 */
@FunctionHint(
    output =
        @DataTypeHint(
            "ROW<kind STRING, opened_at BIGINT, started_at BIGINT, ended_at BIGINT, received_at BIGINT,"
                + " events BIGINT, page_views BIGINT, entry_page STRING, exit_page STRING, country STRING, device STRING,"
                + " is_open BOOLEAN, version BIGINT, is_deleted INT, identified STRING,"
                + " timestamp_ms BIGINT, sessions DOUBLE, session_seconds DOUBLE, bounces DOUBLE>"))
public final class Sessions extends ProcessTableFunction<Row> {
  private static final String PAGE_VIEW = "page_view";
  private static final String TIMER = "next";

  /** One timer a user, which may be too early: then it is set again. */
  public void eval(
      Context context,
      @StateHint(ttl = "0") UserMemory memory,
      @ArgumentHint({SET_SEMANTIC_TABLE, REQUIRE_ON_TIME}) Row input,
      @ArgumentHint(name = "gap_ms") long gapMs,
      @ArgumentHint(name = "keep_ms") long keepMs,
      @ArgumentHint(name = "every_ms") long everyMs) {
    if (input.getField("who") == null) {
      return; // it only says what time it is, or nobody is known to have done it
    }
    memory.gapMs = gapMs;
    memory.keepMs = keepMs;
    memory.everyMs = everyMs;
    UserSessions sessions = new UserSessions(memory, new Rows());
    TimeContext<Long> time = context.timeContext(Long.class);
    sessions.add(eventOf(input), watermarkOf(time));
    setTimer(time, memory, sessions.nextMs());
  }

  public void onTimer(OnTimerContext context, UserMemory memory) {
    UserSessions sessions = new UserSessions(memory, new Rows());
    TimeContext<Long> time = context.timeContext(Long.class);
    sessions.advance(watermarkOf(time));
    memory.timerMs = 0;
    if (memory.sessions.isEmpty()) {
      context.clearAll();
    } else {
      setTimer(time, memory, sessions.nextMs());
    }
  }

  private static void setTimer(TimeContext<Long> time, UserMemory memory, long nextMs) {
    if (memory.timerMs == 0 || nextMs < memory.timerMs) {
      memory.timerMs = nextMs;
      time.registerOnTime(TIMER, nextMs);
    }
  }

  private static long watermarkOf(TimeContext<Long> time) {
    Long watermarkMs = time.currentWatermark();
    return watermarkMs == null ? 0 : Math.max(0, watermarkMs);
  }

  private static SessionEvent eventOf(Row input) {
    return new SessionEvent(
        input.<Long>getFieldAs("timestamp_ms"),
        input.<Long>getFieldAs("received_ms"),
        input.<Long>getFieldAs("log_offset"),
        PAGE_VIEW.equals(input.getField("event")),
        input.getFieldAs("page"),
        input.getFieldAs("country"),
        input.getFieldAs("device"),
        input.getFieldAs("identified"));
  }

  private final class Rows implements SessionOutput {
    @Override
    public void row(Session session, boolean isDeleted, long version) {
      collect(
          Row.of(
              "row",
              session.opened,
              session.start,
              session.end,
              session.received,
              session.events,
              session.pageViews,
              orEmpty(session.entryPage),
              orEmpty(session.exitPage),
              orEmpty(session.country),
              orEmpty(session.device),
              !session.closed,
              version,
              isDeleted ? 1 : 0,
              orEmpty(session.identified),
              null,
              null,
              null,
              null));
    }

    @Override
    public void rollup(Contribution change) {
      Row row = new Row(19);
      row.setField(0, "rollup");
      row.setField(7, change.entryPage());
      row.setField(9, change.country());
      row.setField(10, change.device());
      row.setField(15, change.minuteMs());
      row.setField(16, change.sessions());
      row.setField(17, change.sessionSeconds());
      row.setField(18, change.bounces());
      collect(row);
    }

    private static String orEmpty(String text) {
      return text == null ? "" : text;
    }
  }
}
