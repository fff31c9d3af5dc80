package streamgauge.flink;

import java.util.regex.Pattern;
import org.apache.flink.table.functions.ScalarFunction;

/** A text as the number that a rollup measures: null for what is no finite decimal number, or is over 1e100. */
public class Measured extends ScalarFunction {
    private static final double GREATEST = 1e100;
    private static final Pattern DECIMAL = Pattern.compile("[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d+)?");

    public Double eval(String text) {
        if (text == null || !DECIMAL.matcher(text).matches()) {
            return null;
        }
        double number = Double.parseDouble(text);
        return Math.abs(number) <= GREATEST ? number : null;
    }
}
