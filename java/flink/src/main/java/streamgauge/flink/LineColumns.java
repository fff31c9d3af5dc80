package streamgauge.flink;

import java.nio.charset.StandardCharsets;

/**
 * Where the columns of an envelope's line are: event_id, event, timestamp, received_at, user_id, anonymous_id, producer,
 * sequence, then JSON to the end. See {@code streamgauge.model.Envelope.to_line}.
 */
final class LineColumns {
  static final int EVENT_ID = 0;
  static final int EVENT = 1;
  static final int TIMESTAMP = 2;
  static final int RECEIVED_AT = 3;
  static final int USER_ID = 4;
  static final int ANONYMOUS_ID = 5;
  static final int PRODUCER = 6;
  static final int SEQUENCE = 7;
  static final int COUNT = 8;

  /** 2100-01-01: times are in [1970, 2100). */
  static final long TIME_MS_END = 4_102_444_800_000L;

  private static final byte[] NO_VALUE = "(no value)".getBytes(StandardCharsets.US_ASCII);

  /** Past the last byte of each column; the next begins one further. */
  private final int[] ends = new int[COUNT];

  private int escaped;

  /** A record is one line: as such it is read by the embedded runner too, which has what others wrote made into one. */
  static byte[] lineOf(byte[] record) {
    if (record == null || record.length == 0) {
      return NO_VALUE;
    }
    if (Bytes.hasLineFeed(record)) {
      byte[] line = record.clone();
      for (int at = 0; at < line.length; at++) {
        line[at] = line[at] == '\n' ? (byte) ' ' : line[at];
      }
      return line;
    }
    return record;
  }

  /** False where there are not so many columns. */
  boolean find(byte[] line) {
    int column = 0;
    escaped = 0;
    for (int at = 0; at < line.length; at++) {
      byte next = line[at];
      if (next == '\t') {
        ends[column++] = at;
        if (column == COUNT) {
          return true;
        }
      } else if (next == '\\') {
        escaped |= 1 << column;
      }
    }
    return false;
  }

  int start(int column) {
    return column == 0 ? 0 : ends[column - 1] + 1;
  }

  int length(int column) {
    return ends[column] - start(column);
  }

  /** Of the JSON. */
  int bodyStart() {
    return ends[COUNT - 1] + 1;
  }

  boolean isEscaped(int column) {
    return (escaped >> column & 1) != 0;
  }

  boolean hasEscapes() {
    return escaped != 0;
  }

  /** A time as it must be written; -1 for anything else. */
  long time(byte[] line, int column) {
    int start = start(column), length = length(column);
    if (length == 0 || length > 13 || length > 1 && line[start] == '0') {
      return -1;
    }
    long time = 0;
    for (int at = start; at < start + length; at++) {
      int digit = line[at] - '0';
      if (digit < 0 || digit > 9) {
        return -1;
      }
      time = 10 * time + digit;
    }
    return time < TIME_MS_END ? time : -1;
  }
}
