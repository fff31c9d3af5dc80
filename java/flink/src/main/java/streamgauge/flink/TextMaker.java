package streamgauge.flink;

/** Makes a text of UTF-8 bytes; it may go on referring to them. */
@FunctionalInterface
interface TextMaker<T> {
  T of(byte[] bytes, int start, int length);
}
