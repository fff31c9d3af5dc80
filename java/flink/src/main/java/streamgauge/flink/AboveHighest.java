package streamgauge.flink;

import static org.apache.flink.table.annotation.ArgumentTrait.PASS_COLUMNS_THROUGH;
import static org.apache.flink.table.annotation.ArgumentTrait.SET_SEMANTIC_TABLE;

import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/**
 * {@code above_highest(input => TABLE … PARTITION BY (producer, log_partition))}: the rows whose {@code sequence} is above all
 * before, and those without a producer. A producer numbers its items and sends them in order: whatever is not above the highest
 * came before. The state is one number a partition, for ever.
 */
@FunctionHint(output = @DataTypeHint("ROW<highest_before BIGINT>"))
public final class AboveHighest extends ProcessTableFunction<Row> {
  private static final long BEFORE_ALL = -1;

  public static final class Highest {
    public Long sequence;
  }

  public void eval(
      @StateHint(ttl = "0") Highest highest,
      @ArgumentHint({SET_SEMANTIC_TABLE, PASS_COLUMNS_THROUGH}) Row input) {
    Long sequence = input.getFieldAs("sequence");
    if (input.getField("producer") == null) {
      collect(Row.of((Long) null));
    } else if (sequence != null && sequence > (highest.sequence == null ? BEFORE_ALL : highest.sequence)) {
      Row before = Row.of(highest.sequence);
      highest.sequence = sequence;
      collect(before);
    }
  }
}
