package streamgauge.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads one JSON text of UTF-8 bytes once, from left to right, and is strict: what it takes, msgspec takes too. Bytes are
 * expected to be valid UTF-8.
 *
 * <p>The text of a value is what the embedded runner makes of it, which is what Polars makes of it: see {@link #value}.
 */
final class JsonText {
  private static final int DEPTH_MAX = 900;

  private byte[] bytes;
  private int position;
  private int end;
  private int stringStart;
  private int stringEnd;
  private boolean stringHasEscapes;
  private final Utf8Buffer out = new Utf8Buffer();
  private final Utf8Buffer scratch = new Utf8Buffer();

  /** Where the last text of {@link #value} stands. */
  byte[] text;

  int textStart;
  int textLength;

  void begin(byte[] from, int start, int until) {
    bytes = from;
    position = start;
    end = until;
  }

  // An object, member by member

  /** Begins the object that the whole text must be. False where it has no member. */
  boolean enterObject() {
    skipSpace();
    expect('{');
    skipSpace();
    if (peek() == '}') {
      position++;
      return false;
    }
    key();
    return true;
  }

  /** After a value: whether another member follows. */
  boolean nextMember() {
    skipSpace();
    int next = peek();
    position++;
    if (next == '}') {
      return false;
    }
    if (next != ',') {
      throw broken();
    }
    skipSpace();
    key();
    return true;
  }

  void expectEnd() {
    skipSpace();
    if (position != end) {
      throw broken();
    }
  }

  boolean keyIs(byte[] name) {
    if (!stringHasEscapes) {
      return stringEnd - stringStart == name.length
          && Arrays.equals(bytes, stringStart, stringEnd, name, 0, name.length);
    }
    scratch.clear();
    unescape(scratch);
    return Arrays.equals(scratch.bytes(), 0, scratch.length(), name, 0, name.length);
  }

  private void key() {
    if (peek() != '"') {
      throw broken();
    }
    string();
    int start = stringStart, until = stringEnd;
    boolean hasEscapes = stringHasEscapes;
    skipSpace();
    expect(':');
    skipSpace();
    stringStart = start;
    stringEnd = until;
    stringHasEscapes = hasEscapes;
  }

  // Values

  boolean isAtString() {
    return peek() == '"';
  }

  boolean isAtNull() {
    return peek() == 'n';
  }

  void skip() {
    skip(0);
  }

  /**
   * The text of the value, in {@link #text}; false for null. A string stands for itself. A number has no exponent, and
   * no point where it is whole. Of nested values see {@link #show}.
   */
  boolean value() {
    switch (peek()) {
      case '"':
        string();
        if (stringHasEscapes) {
          scratch.clear();
          unescape(scratch);
          told(scratch.copy());
        } else {
          told(bytes, stringStart, stringEnd - stringStart);
        }
        return true;
      case 'n':
        word("null");
        return false;
      case '{', '[':
        out.clear();
        show(0);
        told(out.copy());
        return true;
      case 't', 'f':
        int start = position;
        skip(0);
        told(bytes, start, position - start);
        return true;
      default:
        number();
        return true;
    }
  }

  private void told(byte[] from) {
    told(from, 0, from.length);
  }

  private void told(byte[] from, int start, int length) {
    text = from;
    textStart = start;
    textLength = length;
  }

  private void skip(int depth) {
    switch (peek()) {
      case '"' -> string();
      case '{' -> {
        within(depth);
        if (enterObject()) {
          do {
            skip(depth + 1);
          } while (nextMember());
        }
      }
      case '[' -> {
        within(depth);
        if (enterArray()) {
          do {
            skip(depth + 1);
          } while (nextElement());
        }
      }
      case 't' -> word("true");
      case 'f' -> word("false");
      case 'n' -> word("null");
      default -> skipNumber();
    }
  }

  /**
   * As Polars shows what is nested: with a space after colons and commas, and in strings only quotes, line feeds and carriage
   * returns escaped, in keys nothing. It shows objects of more than 32 members in no order; here it is theirs.
   */
  private void show(int depth) {
    switch (peek()) {
      case '"' -> {
        string();
        showString();
      }
      case '{' -> {
        within(depth);
        showObject(depth);
      }
      case '[' -> {
        within(depth);
        out.add('[');
        if (enterArray()) {
          String separator = "";
          do {
            out.add(separator);
            show(depth + 1);
            separator = ", ";
          } while (nextElement());
        }
        out.add(']');
      }
      default -> {
        if (value()) {
          out.add(text, textStart, textLength);
        } else {
          out.add("null");
        }
      }
    }
  }

  private void showObject(int depth) {
    out.add('{');
    if (enterObject()) {
      String separator = "";
      do {
        out.add(separator);
        out.add('"');
        unescape(out);
        out.add("\": ");
        show(depth + 1);
        separator = ", ";
      } while (nextMember());
    }
    out.add('}');
  }

  private void showString() {
    scratch.clear();
    unescape(scratch);
    byte[] from = scratch.bytes();
    out.add('"');
    for (int at = 0; at < scratch.length(); at++) {
      switch (from[at]) {
        case '"' -> out.add("\\\"");
        case '\n' -> out.add("\\n");
        case '\r' -> out.add("\\r");
        default -> out.add(from[at]);
      }
    }
    out.add('"');
  }

  private boolean enterArray() {
    position++;
    skipSpace();
    if (peek() == ']') {
      position++;
      return false;
    }
    return true;
  }

  private boolean nextElement() {
    skipSpace();
    int next = peek();
    position++;
    if (next != ',' && next != ']') {
      throw broken();
    }
    skipSpace();
    return next == ',';
  }

  // Numbers

  /** Past a number; whether it has a point or an exponent is told by the places that are not 0. */
  private int pointAt;

  private int exponentAt;

  private void skipNumber() {
    int start = position;
    pointAt = exponentAt = 0;
    if (peek() == '-') {
      position++;
    }
    if (peek() == '0') {
      position++;
    } else {
      digits();
    }
    if (position < end && bytes[position] == '.') {
      pointAt = position++;
      digits();
    }
    if (position < end && (bytes[position] | 0x20) == 'e') {
      exponentAt = position++;
      if (peek() == '+' || peek() == '-') {
        position++;
      }
      digits();
    }
    boolean mayBeTooGreat = exponentAt != 0 || pointAt != 0 && position - start > 300;
    if (mayBeTooGreat && Double.isInfinite(parsed(start))) {
      throw new Malformed("a number of its JSON is too great (byte " + start + ")");
    }
  }

  private void digits() {
    int start = position;
    while (position < end && bytes[position] >= '0' && bytes[position] <= '9') {
      position++;
    }
    if (position == start) {
      throw broken();
    }
  }

  private double parsed(int start) {
    return Double.parseDouble(new String(bytes, start, position - start, StandardCharsets.ISO_8859_1));
  }

  private void number() {
    int start = position;
    skipNumber();
    if (pointAt == 0 && exponentAt == 0) {
      boolean isMinusZero = bytes[start] == '-' && bytes[start + 1] == '0';
      told(bytes, isMinusZero ? start + 1 : start, position - start - (isMinusZero ? 1 : 0));
    } else if (exponentAt == 0 && position - start <= 16) {
      // Of at most 15 digits no two are the same double, so it is the shortest text of its own but for zeros at its end.
      int last = position;
      while (bytes[last - 1] == '0') {
        last--;
      }
      told(bytes, start, (last - 1 == pointAt ? last - 1 : last) - start);
    } else {
      told(Doubles.shortest(parsed(start)).getBytes(StandardCharsets.ISO_8859_1));
    }
  }

  // Strings

  private void string() {
    int at = position + 1;
    stringStart = at;
    stringHasEscapes = false;
    for (; at < end; at++) {
      byte next = bytes[at];
      if (next == '"') {
        stringEnd = at;
        position = at + 1;
        return;
      }
      if (next == '\\') {
        stringHasEscapes = true;
        at = afterEscape(at) - 1;
      } else if (next >= 0 && next < ' ') {
        break;
      }
    }
    position = at;
    throw broken();
  }

  /** Of the escape at this place. Half of a character that is no other's half is none. */
  private int afterEscape(int at) {
    position = at;
    if (at + 1 < end && "\"\\/bfnrt".indexOf(bytes[at + 1]) >= 0) {
      return at + 2;
    }
    if (at + 6 > end || bytes[at + 1] != 'u') {
      throw broken();
    }
    int unit = unit(at + 2);
    if (unit < 0xD800 || unit > 0xDFFF) {
      return at + 6;
    }
    boolean isPair =
        unit < 0xDC00 && at + 12 <= end && bytes[at + 6] == '\\' && bytes[at + 7] == 'u'
            && unit(at + 8) >>> 10 == 0xDC00 >>> 10;
    if (!isPair) {
      throw broken();
    }
    return at + 12;
  }

  private int unit(int at) {
    int unit = 0;
    for (int place = at; place < at + 4; place++) {
      int digit = bytes[place] < 0 ? -1 : Character.digit(bytes[place], 16);
      if (digit < 0) {
        throw broken();
      }
      unit = unit << 4 | digit;
    }
    return unit;
  }

  /** The string that was read last. */
  private void unescape(Utf8Buffer into) {
    int at = stringStart;
    while (at < stringEnd) {
      int plain = at;
      while (at < stringEnd && bytes[at] != '\\') {
        at++;
      }
      into.add(bytes, plain, at - plain);
      if (at == stringEnd) {
        return;
      }
      byte kind = bytes[at + 1];
      if (kind != 'u') {
        into.add(PLAIN[kind]);
        at += 2;
        continue;
      }
      int unit = unit(at + 2);
      at += 6;
      if (Character.isHighSurrogate((char) unit)) {
        unit = Character.toCodePoint((char) unit, (char) unit(at + 2));
        at += 6;
      }
      into.addCodePoint(unit);
    }
  }

  private static final byte[] PLAIN = new byte[128];

  static {
    for (char same : "\"\\/".toCharArray()) {
      PLAIN[same] = (byte) same;
    }
    PLAIN['b'] = '\b';
    PLAIN['f'] = '\f';
    PLAIN['n'] = '\n';
    PLAIN['r'] = '\r';
    PLAIN['t'] = '\t';
  }

  // Bytes

  private byte peek() {
    if (position >= end) {
      throw new Malformed("its JSON ends too early");
    }
    return bytes[position];
  }

  private void expect(char wanted) {
    if (peek() != wanted) {
      throw broken();
    }
    position++;
  }

  private void word(String wanted) {
    for (int at = 0; at < wanted.length(); at++) {
      expect(wanted.charAt(at));
    }
  }

  /** Tabs and ends of lines are no space here: an envelope is one line, and the body its last column. */
  private void skipSpace() {
    while (position < end && bytes[position] == ' ') {
      position++;
    }
  }

  private void within(int depth) {
    if (depth >= DEPTH_MAX) {
      throw new Malformed("its JSON is nested too deep");
    }
  }

  private Malformed broken() {
    return new Malformed("its JSON is malformed (byte " + position + ")");
  }
}
