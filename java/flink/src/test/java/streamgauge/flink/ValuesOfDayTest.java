package streamgauge.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ValuesOfDayTest {
  private final Set<String> known = new HashSet<>();
  private final ValuesOfDay values = new ValuesOfDay(ValuesOfDay.none(2), known::contains, known::add);

  private void check(String first, String second, String... limited) throws Exception {
    assertArrayEquals(limited, values.limit(new String[] {first, second}, 1));
  }

  @Test
  void eachDimensionHasItsOwnValuesAndTheFirstOnesStay() throws Exception {
    check("a", "(unknown)", "a", "(unknown)");
    check("b", "a", "(other)", "a");
    check("a", "b", "a", "(other)");
    check("(other)", "(unknown)", "(other)", "(unknown)");
  }
}
