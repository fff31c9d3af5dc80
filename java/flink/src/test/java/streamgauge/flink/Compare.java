package streamgauge.flink;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The functions without Flink, for tests that compare them with the embedded runner: commands on lines in, what they make of
 * them out, and a line with a point after each. Columns have a space between them; texts are of base64, and {@code -} for null.
 */
public final class Compare {
  private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.US_ASCII);

  private Compare() {}

  public static void main(String[] arguments) throws Exception {
    Command command =
        switch (arguments[0]) {
          case "envelopes" -> envelopes(List.of(arguments).subList(1, arguments.length));
          case "clock" -> columns -> OUT.println(clock(columns));
          case "sessions" -> sessions(number(arguments[1]), number(arguments[2]), number(arguments[3]));
          case "values" -> values(Integer.parseInt(arguments[1]));
          default -> throw new IllegalArgumentException(arguments[0]);
        };
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      command.run(line.split(" "));
      OUT.println(".");
    }
    OUT.flush();
  }

  private interface Command {
    void run(String[] columns) throws Exception;
  }

  /** Of a record, its time, partition and offset: all columns of the function, then the fields. */
  private static Command envelopes(List<String> names) {
    EnvelopeLine<String> line =
        new EnvelopeLine<>((bytes, start, length) -> new String(bytes, start, length, StandardCharsets.UTF_8));
    line.ask(names);
    return columns -> {
      byte[] record = Base64.getDecoder().decode(columns[0].substring(1));
      line.read(record, number(columns[1]), Integer.parseInt(columns[2]), number(columns[3]));
      Stream<Object> own =
          Stream.of(
              text(line.eventId),
              text(line.event),
              line.timestampMs,
              line.receivedMs,
              text(line.userId),
              text(line.anonymousId),
              text(line.producer),
              line.sequence == null ? "-" : line.sequence,
              text(line.properties),
              text(line.code),
              text(line.message),
              text(line.original));
      Stream<Object> fields = Stream.of(line.fields).map(field -> text((String) field));
      print(Stream.concat(own, fields));
    };
  }

  private static Long clock(String[] columns) {
    byte[] record = Base64.getDecoder().decode(columns[0].substring(1));
    return EventClock.clock(new LineColumns(), record, number(columns[1]), number(columns[2]));
  }

  /** {@code event user time received page_view page country device identified watermark}, or {@code time user watermark}. */
  private static Command sessions(long gapMs, long keepMs, long everyMs) {
    Map<String, UserMemory> users = new HashMap<>();
    AtomicLong offsets = new AtomicLong();
    return columns -> {
      UserMemory memory = users.computeIfAbsent(columns[1], ignored -> new UserMemory());
      memory.gapMs = gapMs;
      memory.keepMs = keepMs;
      memory.everyMs = everyMs;
      UserSessions sessions = new UserSessions(memory, new Printed());
      if (columns[0].equals("time")) {
        sessions.advance(number(columns[2]));
      } else {
        sessions.add(
            new SessionEvent(
                number(columns[2]),
                number(columns[3]),
                offsets.getAndIncrement(),
                columns[4].equals("1"),
                textOf(columns[5]),
                textOf(columns[6]),
                textOf(columns[7]),
                textOf(columns[8])),
            number(columns[9]));
      }
      OUT.println("next " + sessions.nextMs());
    };
  }

  private static final class Printed implements SessionOutput {
    @Override
    public void row(Session session, boolean isDeleted, long version) {
      print(
          Stream.of(
              "row",
              session.opened,
              session.start,
              session.end,
              session.received,
              session.events,
              session.pageViews,
              text(session.entryPage),
              text(session.exitPage),
              text(session.country),
              text(session.device),
              session.closed ? 0 : 1,
              version,
              isDeleted ? 1 : 0,
              text(session.identified)));
    }

    @Override
    public void rollup(Contribution change) {
      print(
          Stream.of(
              "rollup",
              change.minuteMs(),
              text(change.country()),
              text(change.device()),
              text(change.entryPage()),
              change.sessions(),
              change.sessionSeconds(),
              change.bounces()));
    }
  }

  /** {@code day dimension…}: the dimensions as they are told apart. */
  private static Command values(int valuesMax) {
    Map<String, Set<String>> known = new HashMap<>();
    Map<String, Integer[]> counts = new HashMap<>();
    return columns -> {
      Set<String> values = known.computeIfAbsent(columns[0], ignored -> new HashSet<>());
      Integer[] counted = counts.computeIfAbsent(columns[0], ignored -> ValuesOfDay.none(columns.length - 1));
      List<String> dims = new ArrayList<>();
      for (int place = 1; place < columns.length; place++) {
        dims.add(textOf(columns[place]));
      }
      ValuesOfDay limit = new ValuesOfDay(counted, values::contains, values::add);
      print(Stream.of(limit.limit(dims.toArray(new String[0]), valuesMax)).map(Compare::text));
    };
  }

  private static void print(Stream<?> columns) {
    OUT.println(columns.map(Object::toString).collect(Collectors.joining(" ")));
  }

  private static long number(String text) {
    return Long.parseLong(text);
  }

  private static String text(String text) {
    return text == null ? "-" : "=" + Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String textOf(String column) {
    return column.equals("-")
        ? null
        : new String(Base64.getDecoder().decode(column.substring(1)), StandardCharsets.UTF_8);
  }
}
