package streamgauge.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

class DoublesTest {
  @Test
  void aNumberHasAsFewDigitsAsTellItApart() {
    assertEquals("404", Doubles.shortest(404.0));
    assertEquals("-0", Doubles.shortest(-0.0));
    assertEquals("0.002", Doubles.shortest(2.0e-3));
    assertEquals("100000000000000000000000", Doubles.shortest(1e23));
    assertEquals("288230376151711740", Doubles.shortest(288230376151711744.0));
    assertEquals("1641542652812897.3", Doubles.shortest(1641542652812897.25));
    assertTrue(Doubles.shortest(Double.MIN_VALUE).endsWith("0005"));
  }

  @Test
  void whatIsWrittenIsReadAsTheSameNumber() {
    Random random = new Random(4);
    for (int turn = 0; turn < 20_000; turn++) {
      double number = Double.longBitsToDouble(random.nextLong());
      if (Double.isFinite(number)) {
        assertEquals(number, Double.parseDouble(Doubles.shortest(number)));
      }
    }
  }
}
