package streamgauge.flink;

import static org.apache.flink.table.annotation.ArgumentTrait.SET_SEMANTIC_TABLE;

import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/**
 * {@code told_apart(input => TABLE panes PARTITION BY `day`, values_max => 10000)}: panes of which each dimension has at most
 * so many different values a day. See {@link ValuesOfDay}.
 */
@FunctionHint(output = @DataTypeHint("ROW<timestamp_ms BIGINT, `value` DOUBLE, dims ARRAY<STRING>>"))
public final class ToldApart extends ProcessTableFunction<Row> {
  /**
   * From a day's last new value on. Whatever is counted on that day still later, from an import or since more lateness is
   * allowed, has its values told apart anew.
   */
  private static final String KEPT = "8 d";

  public static final class Counts {
    /** How many values are told apart, a number for each dimension. */
    public Integer[] byDimension;
  }

  public void eval(
      @StateHint(ttl = KEPT) Counts counts,
      @StateHint(ttl = KEPT) MapView<String, Boolean> values,
      @ArgumentHint(SET_SEMANTIC_TABLE) Row input,
      @ArgumentHint(name = "values_max") int valuesMax)
      throws Exception {
    String[] dims = input.getFieldAs("dims");
    if (counts.byDimension == null || counts.byDimension.length != dims.length) {
      counts.byDimension = ValuesOfDay.none(dims.length);
    }
    ValuesOfDay known = new ValuesOfDay(counts.byDimension, values::contains, key -> values.put(key, true));
    collect(Row.of(input.getField("timestamp_ms"), input.getField("value"), known.limit(dims, valuesMax)));
  }
}
