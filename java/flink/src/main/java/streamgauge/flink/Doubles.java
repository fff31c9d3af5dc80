package streamgauge.flink;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;

/** Numbers as Rust, and so Polars, writes them: as few digits as tell a double from all others, without an exponent. */
final class Doubles {
  private Doubles() {}

  static String shortest(double number) {
    if (number == 0) {
      return 1 / number < 0 ? "-0" : "0";
    }
    BigDecimal exact = new BigDecimal(number);
    // Double.toString of Java before 19 has a digit too many now and then, so its answer is only where to begin.
    int few = new BigDecimal(Double.toString(number)).stripTrailingZeros().precision();
    BigDecimal found = few <= 15 && Math.abs(number) >= Double.MIN_NORMAL ? rounded(exact, few, number) : null;
    for (int digits = 1; found == null; digits++) {
      found = rounded(exact, digits, number);
    }
    String text = found.toPlainString();
    return text.indexOf('.') < 0 ? text : found.stripTrailingZeros().toPlainString();
  }

  /** The nearest of so many digits that is this double, of two as near the greater; null where there is none. */
  private static BigDecimal rounded(BigDecimal exact, int digits, double number) {
    BigDecimal nearest = exact.round(new MathContext(digits, RoundingMode.HALF_UP));
    if (nearest.doubleValue() == number) {
      return nearest;
    }
    // Beside a power of two doubles lie closer on one side: the next on the other may be it.
    BigDecimal other =
        exact.round(new MathContext(digits, nearest.compareTo(exact) > 0 ? RoundingMode.FLOOR : RoundingMode.CEILING));
    return other.doubleValue() == number ? other : null;
  }
}
