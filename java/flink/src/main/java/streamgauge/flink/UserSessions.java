package streamgauge.flink;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import streamgauge.flink.SessionOutput.Contribution;

/**
 * The sessions of one user, between calls kept as {@link UserMemory}. They are what {@code streamgauge.stream.session} makes of
 * the same events in micro-batches of one event: exactly the gap apart are two sessions; a late event extends a session, opens
 * it again, or joins two; what a closed session added to the rollups is taken back when it changes.
 */
final class UserSessions {
  /** A version is at least so many times the time of receipt, so that it rises also where a user was forgotten between. */
  private static final long VERSIONS_A_MS = 1_000;

  /** Of one user; where there are more, as of history, the closed ones that were longest not added to are forgotten. */
  private static final int SESSIONS_MAX = 500;

  private final UserMemory memory;
  private final List<Session> sessions;
  private final SessionOutput output;

  /** Of this call, in order: those to be written whatever their turn, those that were merged into another. */
  private final List<Session> told = new ArrayList<>();

  private final List<Session> gone = new ArrayList<>();
  private final Map<Contribution, double[]> changes = new LinkedHashMap<>();

  UserSessions(UserMemory memory, SessionOutput output) {
    this.memory = memory;
    this.output = output;
    this.sessions = memory.sessions == null ? new ArrayList<>() : new ArrayList<>(memory.sessions);
  }

  /** Take in an event, then close what no further event in time can join. */
  void add(SessionEvent event, long watermarkMs) {
    memory.version = Math.max(memory.version, event.receivedMs() * VERSIONS_A_MS);
    Session touched = join(Session.of(event));
    touched.unwritten = true;
    close(watermarkMs);
    boolean hasWaited = Math.abs(event.receivedMs() - touched.writtenMs) >= memory.everyMs;
    if (!told.contains(touched) && hasWaited) {
      told.add(touched);
    }
    write();
    forgetSurplus();
    keep();
  }

  /** Time went on: close, write and forget what is due. */
  void advance(long watermarkMs) {
    close(watermarkMs);
    for (Session session : sessions) {
      if (session.unwritten && session.writtenMs + memory.everyMs <= watermarkMs && !told.contains(session)) {
        told.add(session);
      }
    }
    write();
    sessions.removeIf(session -> session.closed && forgetAtMs(session) <= watermarkMs);
    keep();
  }

  /** When {@link #advance} has something to do next. */
  long nextMs() {
    long next = Long.MAX_VALUE;
    for (Session session : sessions) {
      next = Math.min(next, session.closed ? forgetAtMs(session) : session.end + memory.gapMs);
      if (session.unwritten) {
        next = Math.min(next, session.writtenMs + memory.everyMs);
      }
    }
    return next;
  }

  private long forgetAtMs(Session session) {
    return Math.max(session.end + memory.gapMs, session.received) + memory.keepMs;
  }

  // Joining

  /** The session that the event is in now. Sessions are a gap apart and in order; the event may meet two. */
  private Session join(Session event) {
    int first = sessions.size();
    while (first > 0 && event.start - sessions.get(first - 1).end < memory.gapMs) {
      first--;
    }
    int last = first;
    while (last < sessions.size() && sessions.get(last).start - event.end < memory.gapMs) {
      last++;
    }
    if (first == last) {
      sessions.add(first, event);
      told.add(event);
      return event;
    }
    Session remaining = sessions.get(first);
    touch(remaining);
    List<Session> absorbed = sessions.subList(first + 1, last);
    for (Session session : absorbed) {
      touch(session);
      remaining.join(session);
      gone.add(session);
      told.remove(session);
    }
    if (!absorbed.isEmpty() && !told.contains(remaining)) {
      told.add(remaining);
    }
    absorbed.clear();
    remaining.join(event); // last, as it came: of texts of the same time the order decides
    return remaining;
  }

  /** Before it is changed: take back what it added to the rollups. It is open until time is looked at. */
  private void touch(Session session) {
    if (session.closed) {
      change(session, -1);
      session.closed = false;
      told.add(session);
    }
  }

  private void close(long watermarkMs) {
    for (Session session : sessions) {
      if (!session.closed && session.end <= watermarkMs - memory.gapMs) {
        session.closed = true;
        change(session, 1);
        if (!told.contains(session)) {
          told.add(session);
        }
      }
    }
  }

  private void forgetSurplus() {
    while (sessions.size() > SESSIONS_MAX) {
      Session longest = null;
      for (Session session : sessions) {
        boolean isOlder = longest == null || session.received < longest.received;
        longest = session.closed && isOlder ? session : longest;
      }
      if (longest == null) {
        return;
      }
      sessions.remove(longest);
    }
  }

  // What is told of it

  private void change(Session session, int sign) {
    Contribution added = Contribution.of(session);
    Contribution place =
        new Contribution(added.minuteMs(), added.country(), added.device(), added.entryPage(), 0, 0, 0);
    double[] sums = changes.computeIfAbsent(place, ignored -> new double[3]);
    sums[0] += sign * added.sessions();
    sums[1] += sign * added.sessionSeconds();
    sums[2] += sign * added.bounces();
  }

  private void write() {
    for (Session session : gone) {
      output.row(session, true, ++memory.version);
    }
    for (Session session : told) {
      output.row(session, false, ++memory.version);
      session.unwritten = false;
      session.writtenMs = session.received;
    }
    changes.forEach(
        (place, sums) -> {
          if (sums[0] != 0 || sums[1] != 0 || sums[2] != 0) {
            output.rollup(
                new Contribution(
                    place.minuteMs(), place.country(), place.device(), place.entryPage(), sums[0], sums[1], sums[2]));
          }
        });
    gone.clear();
    told.clear();
    changes.clear();
  }

  private void keep() {
    memory.sessions = sessions;
  }
}
