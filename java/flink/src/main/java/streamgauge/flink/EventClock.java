package streamgauge.flink;

import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * {@code event_clock_ms(record, kafka_ms [, future_ms_max])}: how far a record says that event time is, ms; null where it
 * says nothing. Event times ahead of the receipt count as then: a wrong clock must not declare the present complete, be it a
 * client's, or that of the ingest API, which is why the record's own time bounds it too. Numbered items are a producer's
 * history, and refused ones no events.
 *
 * <p>The embedded runner looks at what it counted. What is repeated can't be known here; its time was seen with the first.
 * What is further ahead of its receipt than {@code future_ms_max} isn't counted. It doesn't look at the JSON: of a record that
 * has all the columns and broken JSON, the time is believed.
 */
public final class EventClock extends ScalarFunction {
  private transient LineColumns columns;

  @Override
  public void open(FunctionContext context) {
    columns = new LineColumns();
  }

  public Long eval(byte[] record, Long kafkaMs) {
    return eval(record, kafkaMs, Long.MAX_VALUE);
  }

  public Long eval(byte[] record, Long kafkaMs, Long futureMsMax) {
    return clock(columns, record, kafkaMs == null ? -1 : kafkaMs, futureMsMax == null ? Long.MAX_VALUE : futureMsMax);
  }

  static Long clock(LineColumns columns, byte[] record, long kafkaMs, long futureMsMax) {
    if (record == null || !columns.find(record) || !isCurrent(columns)) {
      return null;
    }
    long timestampMs = columns.time(record, LineColumns.TIMESTAMP);
    long receivedMs = columns.time(record, LineColumns.RECEIVED_AT);
    if (timestampMs < 0 || receivedMs < 0 || timestampMs - receivedMs > futureMsMax) {
      return null;
    }
    long clockMs = Math.min(timestampMs, receivedMs);
    return kafkaMs > 0 ? Math.min(clockMs, kafkaMs) : clockMs;
  }

  private static boolean isCurrent(LineColumns columns) {
    return columns.length(LineColumns.EVENT_ID) > 0
        && columns.length(LineColumns.EVENT) > 0
        && columns.length(LineColumns.PRODUCER) == 0
        && columns.length(LineColumns.SEQUENCE) == 0;
  }
}
