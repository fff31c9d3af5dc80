package streamgauge.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;

class JobTest {
  @Test
  void settingsAreTakenFromTheStatementsAndQuotesAreUndone() {
    String[] statements = {"SET 'pipeline.name' = 'it''s; one'", "CREATE TABLE t (a INT)", "set 'a.b'='c' ;"};
    assertEquals(Map.of("pipeline.name", "it's; one", "a.b", "c"), Job.settingsOf(statements).toMap());
  }
}
