package streamgauge.flink;

import static streamgauge.flink.LineColumns.ANONYMOUS_ID;
import static streamgauge.flink.LineColumns.EVENT;
import static streamgauge.flink.LineColumns.EVENT_ID;
import static streamgauge.flink.LineColumns.PRODUCER;
import static streamgauge.flink.LineColumns.RECEIVED_AT;
import static streamgauge.flink.LineColumns.SEQUENCE;
import static streamgauge.flink.LineColumns.TIMESTAMP;
import static streamgauge.flink.LineColumns.USER_ID;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One record of the log as columns, which are read from this object until the next record is. What is absent is null.
 *
 * <p>It says what {@code streamgauge.stream.batch.decode} says of the same record, except: in whose words it says why JSON is
 * malformed; records whose JSON Polars and msgspec judge differently, of which the embedded runner takes some or not, as the
 * rest of the batch has it, are none here; and see {@link JsonText}.
 */
final class EnvelopeLine<T> {
  private static final String MADE_ID_PREFIX = "sg-";
  private static final String UNDECODABLE = "undecodable";
  private static final String NO_EVENT = "the record of the log is no event of the ingest API: ";
  private static final int PROBLEM_CHARS_MAX = 200;
  private static final int ORIGINAL_BYTES_MAX = 64 * 1024;
  private static final byte[][] REFUSED = utf8("code", "message", "original");
  private static final Map<String, Integer> OWN =
      Map.of("event_id", EVENT_ID, "event", EVENT, "user_id", USER_ID, "anonymous_id", ANONYMOUS_ID);

  T eventId;
  T event;
  long timestampMs;
  long receivedMs;
  T userId;
  T anonymousId;
  T producer;
  Long sequence;
  T properties;
  T code;
  T message;
  T original;
  /** One for each of the names that were asked for. */
  Object[] fields = new Object[0];

  private final TextMaker<T> maker;
  private final LineColumns columns = new LineColumns();
  private final JsonText json = new JsonText();
  private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
  private final CharBuffer decoded = CharBuffer.allocate(1024);

  /** The names of properties, each once, and in which fields they go. */
  private byte[][] properNames = new byte[0][];

  private int[][] properPlaces = new int[0][];
  private boolean[] isFound = new boolean[0];
  private int[][] ownPlaces = new int[LineColumns.COUNT][];
  private int count;

  EnvelopeLine(TextMaker<T> maker) {
    this.maker = maker;
  }

  /** The fields to be told of each record from now on. */
  void ask(List<String> names) {
    count = names.size();
    ownPlaces = new int[LineColumns.COUNT][];
    Map<String, int[]> proper = new LinkedHashMap<>();
    for (int place = 0; place < count; place++) {
      Integer own = OWN.get(names.get(place));
      if (own != null) {
        ownPlaces[own] = added(ownPlaces[own], place);
      } else {
        proper.put(names.get(place), added(proper.get(names.get(place)), place));
      }
    }
    properNames = utf8(proper.keySet().toArray(new String[0]));
    properPlaces = proper.values().toArray(new int[0][]);
    isFound = new boolean[properNames.length];
  }

  /** Take the columns from a record. {@code kafkaMs}: its time, ms, as which undecodable ones are received. */
  void read(byte[] record, long kafkaMs, int partition, long offset) {
    byte[] line = LineColumns.lineOf(record);
    clear();
    try {
      take(line);
    } catch (Malformed malformed) {
      clear();
      takeUndecodable(line, malformed.getMessage(), kafkaMs, partition + "-" + offset);
    }
  }

  private void clear() {
    eventId = event = userId = anonymousId = producer = properties = code = message = original = null;
    sequence = null;
    fields = new Object[count];
    Arrays.fill(isFound, false);
  }

  private void take(byte[] line) {
    if (!columns.find(line)) {
      throw new Malformed("this is not an envelope: " + shown(line));
    }
    checkUtf8(line);
    timestampMs = columns.time(line, TIMESTAMP);
    receivedMs = columns.time(line, RECEIVED_AT);
    if (timestampMs < 0 || receivedMs < 0) {
      throw new Malformed("a time is not between 1970 and 2099");
    }
    eventId = column(line, EVENT_ID);
    event = column(line, EVENT);
    userId = column(line, USER_ID);
    anonymousId = column(line, ANONYMOUS_ID);
    producer = column(line, PRODUCER);
    sequence = columns.length(SEQUENCE) == 0 ? null : (Long) number(line, SEQUENCE);
    // With an escape somewhere the ingest API writes each column for itself, else a producer with its number.
    boolean isHalfNumbered = (producer == null) != (sequence == null);
    if (eventId == null || isHalfNumbered && !columns.hasEscapes()) {
      throw notColumns();
    }
    int start = columns.bodyStart();
    json.begin(line, start, line.length);
    if (event == null) {
      takeRefused();
    } else {
      takeProperties();
      tell(EVENT_ID, eventId);
      tell(EVENT, event);
      tell(USER_ID, userId);
      tell(ANONYMOUS_ID, anonymousId);
    }
    properties = maker.of(line, start, line.length - start);
  }

  /** Of a name that is repeated, the first. */
  private void takeProperties() {
    if (json.enterObject()) {
      do {
        int wanted = wanted();
        if (wanted < 0) {
          json.skip();
          continue;
        }
        isFound[wanted] = true;
        T value = json.value() ? maker.of(json.text, json.textStart, json.textLength) : null;
        for (int place : properPlaces[wanted]) {
          fields[place] = value;
        }
      } while (json.nextMember());
    }
    json.expectEnd();
  }

  private int wanted() {
    for (int name = 0; name < properNames.length; name++) {
      if (json.keyIs(properNames[name])) {
        return isFound[name] ? -1 : name;
      }
    }
    return -1;
  }

  /** Of a name that is repeated, the last. */
  private void takeRefused() {
    boolean hasOriginal = false;
    if (json.enterObject()) {
      do {
        int which = 0;
        while (which < REFUSED.length && !json.keyIs(REFUSED[which])) {
          which++;
        }
        if (which == REFUSED.length) {
          json.skip();
          continue;
        }
        if (!json.isAtString() && !(which == 2 && json.isAtNull())) {
          throw new Malformed("the reason of its refusal is no text");
        }
        T value = json.value() ? maker.of(json.text, json.textStart, json.textLength) : null;
        switch (which) {
          case 0 -> code = value;
          case 1 -> message = value;
          default -> {
            original = value;
            hasOriginal = true;
          }
        }
      } while (json.nextMember());
    }
    json.expectEnd();
    if (code == null || message == null || !hasOriginal) {
      throw new Malformed("it has neither an event nor why it was refused");
    }
  }

  private void takeUndecodable(byte[] line, String problem, long kafkaMs, String position) {
    boolean isTime = kafkaMs >= 0 && kafkaMs < LineColumns.TIME_MS_END;
    timestampMs = receivedMs = isTime ? kafkaMs : System.currentTimeMillis();
    eventId = text(MADE_ID_PREFIX + position);
    code = text(UNDECODABLE);
    int until = Math.min(problem.length(), PROBLEM_CHARS_MAX);
    message = text(NO_EVENT + problem.substring(0, until));
    original = text(replaced(Arrays.copyOf(line, Math.min(line.length, ORIGINAL_BYTES_MAX))));
  }

  private void tell(int column, T value) {
    if (ownPlaces[column] != null) {
      for (int place : ownPlaces[column]) {
        fields[place] = value;
      }
    }
  }

  // Columns

  private T column(byte[] line, int column) {
    int start = columns.start(column), length = columns.length(column);
    if (length == 0) {
      return null;
    }
    for (int at = start; at < start + length; at++) {
      if (line[at] == '\r') {
        throw notColumns();
      }
    }
    return columns.isEscaped(column) ? unescaped(line, start, length) : maker.of(line, start, length);
  }

  private T unescaped(byte[] line, int start, int length) {
    byte[] plain = new byte[length];
    int count = 0;
    for (int at = start; at < start + length; at++) {
      if (line[at] != '\\') {
        plain[count++] = line[at];
        continue;
      }
      at++;
      plain[count++] =
          switch (at < start + length ? line[at] : 0) {
            case 't' -> '\t';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 's' -> '\\';
            default -> throw notColumns();
          };
    }
    return maker.of(plain, 0, count);
  }

  private long number(byte[] line, int column) {
    int start = columns.start(column), length = columns.length(column);
    String text = new String(line, start, length, StandardCharsets.ISO_8859_1);
    try {
      long number = Long.parseLong(text);
      if (Long.toString(number).equals(text) && number != Long.MIN_VALUE) {
        return number;
      }
    } catch (NumberFormatException error) {
      // it is none
    }
    throw notColumns();
  }

  private static Malformed notColumns() {
    return new Malformed("its columns are not those of an envelope");
  }

  // Texts

  private void checkUtf8(byte[] line) {
    if (Bytes.isAscii(line)) {
      return;
    }
    decoder.reset();
    ByteBuffer from = ByteBuffer.wrap(line);
    CoderResult result;
    do {
      decoded.clear();
      result = decoder.decode(from, decoded, true);
    } while (result.isOverflow());
    if (result.isError()) {
      throw new Malformed("it is no UTF-8 (byte " + from.position() + ")");
    }
  }

  /** As Python decodes with replacements: of half a character in UTF-8, Java replaces three bytes by one, Python each. */
  private static String replaced(byte[] line) {
    for (int at = 0; at + 1 < line.length; at++) {
      if (line[at] == (byte) 0xED && (line[at + 1] & 0xE0) == 0xA0) {
        line[at] = (byte) 0xFF;
      }
    }
    return new String(line, StandardCharsets.UTF_8);
  }

  private static String shown(byte[] line) {
    return "'" + new String(line, 0, Math.min(line.length, 80), StandardCharsets.UTF_8) + "'";
  }

  private T text(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return maker.of(bytes, 0, bytes.length);
  }

  private static byte[][] utf8(String... texts) {
    return Arrays.stream(texts).map(text -> text.getBytes(StandardCharsets.UTF_8)).toArray(byte[][]::new);
  }

  private static int[] added(int[] places, int place) {
    int[] more = places == null ? new int[1] : Arrays.copyOf(places, places.length + 1);
    more[more.length - 1] = place;
    return more;
  }
}
