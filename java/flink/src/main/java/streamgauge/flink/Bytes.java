package streamgauge.flink;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Questions about all bytes of a record, eight at a time: each record is looked at for what nearly none has. */
final class Bytes {
  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());
  private static final long ONES = 0x0101010101010101L;
  private static final long SIGNS = 0x8080808080808080L;
  private static final long LINE_FEEDS = '\n' * ONES;

  private Bytes() {}

  static boolean hasLineFeed(byte[] bytes) {
    int at = 0;
    for (; at + Long.BYTES <= bytes.length; at += Long.BYTES) {
      long zeros = (long) LONGS.get(bytes, at) ^ LINE_FEEDS;
      if ((zeros - ONES & ~zeros & SIGNS) != 0) {
        return true;
      }
    }
    for (; at < bytes.length; at++) {
      if (bytes[at] == '\n') {
        return true;
      }
    }
    return false;
  }

  static boolean isAscii(byte[] bytes) {
    long all = 0;
    int at = 0;
    for (; at + Long.BYTES <= bytes.length; at += Long.BYTES) {
      all |= (long) LONGS.get(bytes, at);
    }
    for (; at < bytes.length; at++) {
      all |= bytes[at];
    }
    return (all & SIGNS) == 0;
  }
}
