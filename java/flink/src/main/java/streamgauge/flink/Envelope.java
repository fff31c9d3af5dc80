package streamgauge.flink;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.TableFunction;

/** {@code envelope(record, kafka_ms, log_partition, log_offset, names)}: one row a record. See {@link EnvelopeLine}. */
@FunctionHint(
    output =
        @DataTypeHint(
            value =
                "ROW<event_id STRING, event STRING, timestamp_ms BIGINT, received_ms BIGINT, user_id STRING,"
                    + " anonymous_id STRING, producer STRING, sequence BIGINT, properties STRING, code STRING,"
                    + " message STRING, original STRING, fields ARRAY<STRING>>",
            bridgedTo = RowData.class))
public final class Envelope extends TableFunction<RowData> {
  private transient EnvelopeLine<StringData> line;
  private transient ArrayData asked;

  @Override
  public void open(FunctionContext context) {
    line = new EnvelopeLine<>(StringData::fromBytes);
  }

  public void eval(
      byte[] record,
      Long kafkaMs,
      Integer logPartition,
      Long logOffset,
      @DataTypeHint(value = "ARRAY<STRING>", bridgedTo = ArrayData.class) ArrayData names) {
    ask(names);
    line.read(record, kafkaMs == null ? -1 : kafkaMs, logPartition, logOffset);
    collect(
        GenericRowData.of(
            line.eventId,
            line.event,
            line.timestampMs,
            line.receivedMs,
            line.userId,
            line.anonymousId,
            line.producer,
            line.sequence,
            line.properties,
            line.code,
            line.message,
            line.original,
            new GenericArrayData(line.fields)));
  }

  /** The names are the same in all calls, but Flink gives them anew each time. */
  private void ask(ArrayData names) {
    if (names == asked || names != null && names.equals(asked)) {
      return;
    }
    List<String> texts = new ArrayList<>();
    for (int place = 0; names != null && place < names.size(); place++) {
      texts.add(names.getString(place).toString());
    }
    line.ask(texts);
    asked = names;
  }
}
