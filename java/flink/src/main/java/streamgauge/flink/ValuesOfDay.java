package streamgauge.flink;

import java.util.Arrays;

/**
 * The values that are told apart on a day, by dimension: the first that came. Further ones are {@code (other)}.
 *
 * <p>The embedded runner takes those that come in one micro-batch in the order of the alphabet; here each comes alone.
 */
final class ValuesOfDay {
  private static final String OTHER = "(other)";
  private static final String UNKNOWN = "(unknown)";

  /** A value is known by the number of its dimension, and itself. */
  interface Known {
    boolean contains(String key) throws Exception;
  }

  interface Admit {
    void add(String key) throws Exception;
  }

  private final Integer[] counts;
  private final Known known;
  private final Admit admit;

  ValuesOfDay(Integer[] counts, Known known, Admit admit) {
    this.counts = counts;
    this.known = known;
    this.admit = admit;
  }

  static Integer[] none(int dimensions) {
    Integer[] counts = new Integer[dimensions];
    Arrays.fill(counts, 0);
    return counts;
  }

  String[] limit(String[] dims, int valuesMax) throws Exception {
    String[] limited = dims.clone();
    for (int place = 0; place < dims.length; place++) {
      limited[place] = isToldApart(place, dims[place], valuesMax) ? dims[place] : OTHER;
    }
    return limited;
  }

  private boolean isToldApart(int place, String value, int valuesMax) throws Exception {
    if (OTHER.equals(value) || UNKNOWN.equals(value)) {
      return true;
    }
    String key = place + ":" + value;
    if (known.contains(key)) {
      return true;
    }
    if (counts[place] >= valuesMax) {
      return false;
    }
    counts[place]++;
    admit.add(key);
    return true;
  }
}
