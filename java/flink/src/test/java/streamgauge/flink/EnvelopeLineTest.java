package streamgauge.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EnvelopeLineTest {
  private static final String HEAD = "e1\tclick\t1700000000000\t1700000001000\tu\\t1\t\tp\t7\t";

  private final EnvelopeLine<String> line =
      new EnvelopeLine<>((bytes, start, length) -> new String(bytes, start, length, StandardCharsets.UTF_8));

  private void read(String record) {
    line.read(record.getBytes(StandardCharsets.UTF_8), 1_700_000_002_000L, 3, 14);
  }

  @Test
  void columnsAreUnescapedAndWhatIsAbsentIsNull() {
    line.ask(List.of("event", "page", "user_id", "page"));
    read(HEAD + "{\"page\":\"/a\\u0062\"}");
    assertEquals("u\t1", line.userId);
    assertNull(line.anonymousId);
    assertEquals(7, line.sequence);
    assertArrayEquals(new Object[] {"click", "/ab", "u\t1", "/ab"}, line.fields);
    assertNull(line.code);
  }

  @Test
  void aRecordOfSeveralLinesIsReadAsOne() {
    line.ask(List.of("page"));
    read(HEAD + "{\n\"page\":\n\"/a\"}\n");
    assertArrayEquals(new Object[] {"/a"}, line.fields);
    assertEquals("{ \"page\": \"/a\"} ", line.properties);
    line.read(null, 0, 0, 0);
    assertEquals("(no value)", line.original);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "404.0|404", "-0|0", "-0.0|-0", "1e5|100000", "1.50|1.5", "true|true", "[1, {\"a\":2.0}]|[1, {\"a\": 2}]",
        "\"a\"|a", "123456789012345678901234567890|123456789012345678901234567890",
      })
  void aValueIsItsText(String value, String text) {
    line.ask(List.of("k"));
    read(HEAD + "{\"other\":[{}],\"k\":" + value + "}");
    assertEquals(text, line.fields[0]);
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"k\":01}", "{\"k\":1,}", "{\"k\":\"\\ud800\"}", "{\"k\":1e309}", "{} {}", "[]", "", "{\"k\":\"\t\"}"})
  void malformedPropertiesMakeARecordUndecodable(String properties) {
    read(HEAD + properties);
    assertEquals("undecodable", line.code);
    assertTrue(line.message.startsWith("the record of the log is no event of the ingest API: "));
    assertEquals("sg-3-14", line.eventId);
    assertEquals(1_700_000_002_000L, line.receivedMs);
    assertEquals(HEAD + properties, line.original);
    assertNull(line.event);
  }
}
