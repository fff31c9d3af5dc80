package streamgauge.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Text that grows, as UTF-8. */
final class Utf8Buffer {
  private byte[] bytes = new byte[256];
  private int length;

  byte[] bytes() {
    return bytes;
  }

  int length() {
    return length;
  }

  byte[] copy() {
    return Arrays.copyOf(bytes, length);
  }

  void clear() {
    length = 0;
  }

  void add(byte one) {
    makeRoom(1);
    bytes[length++] = one;
  }

  void add(char ascii) {
    add((byte) ascii);
  }

  void add(String text) {
    byte[] added = text.getBytes(StandardCharsets.UTF_8);
    add(added, 0, added.length);
  }

  void add(byte[] from, int start, int count) {
    makeRoom(count);
    System.arraycopy(from, start, bytes, length, count);
    length += count;
  }

  void addCodePoint(int point) {
    if (point < 0x80) {
      add((byte) point);
    } else {
      add(Character.toString(point));
    }
  }

  @Override
  public String toString() {
    return new String(bytes, 0, length, StandardCharsets.UTF_8);
  }

  private void makeRoom(int count) {
    if (length + count > bytes.length) {
      bytes = Arrays.copyOf(bytes, Math.max(length + count, 2 * bytes.length));
    }
  }
}
