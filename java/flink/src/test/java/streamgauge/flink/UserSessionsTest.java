package streamgauge.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class UserSessionsTest {
  private static final long GAP = 1_000;
  private static final long KEEP = 10_000;

  private final UserMemory memory = new UserMemory();
  private final List<String> told = new ArrayList<>();
  private long version;

  private final SessionOutput output =
      new SessionOutput() {
        @Override
        public void row(Session session, boolean isDeleted, long newVersion) {
          assertTrue(newVersion > version, "versions rise");
          version = newVersion;
          told.add(session.start + "-" + session.end + (isDeleted ? " deleted" : session.closed ? " closed" : " open"));
        }

        @Override
        public void rollup(Contribution change) {
          told.add("rollup " + (int) change.sessions());
        }
      };

  @BeforeEach
  void arguments() {
    memory.gapMs = GAP;
    memory.keepMs = KEEP;
    memory.everyMs = 5_000;
  }

  private List<String> add(long timeMs, long watermarkMs) {
    told.clear();
    new UserSessions(memory, output).add(new SessionEvent(timeMs, 100_000, 0, false, null, null, null, null), watermarkMs);
    return told;
  }

  private List<String> advance(long watermarkMs) {
    told.clear();
    new UserSessions(memory, output).advance(watermarkMs);
    return told;
  }

  @Test
  void exactlyTheGapIsTwoSessions() {
    assertEquals(List.of("20000-20000 open"), add(20_000, 0));
    assertEquals(List.of("21000-21000 open"), add(21_000, 0));
  }

  @Test
  void aLateEventJoinsTwoSessionsAndOneOfThemIsDeleted() {
    add(20_000, 0);
    add(21_500, 0);
    assertEquals(List.of("21500-21500 deleted", "20000-21500 open"), add(20_750, 0));
  }

  @Test
  void aClosedSessionIsOpenedAgainAndTakenBackFromTheRollups() {
    add(20_000, 0);
    assertEquals(List.of("20000-20000 closed", "rollup 1"), advance(21_000));
    assertEquals(List.of("20000-20900 open", "rollup -1"), add(20_900, 21_000));
  }

  @Test
  void aSessionThatOnlyGoesOnIsToldWhenItsTurnComes() {
    add(20_000, 0);
    assertEquals(List.of(), add(20_001, 0));
    assertEquals(21_001, new UserSessions(memory, output).nextMs());
    assertEquals(List.of("20000-20001 closed", "rollup 1"), advance(21_001));
  }

  @Test
  void whatNoLateEventCanJoinIsForgotten() {
    add(20_000, 0);
    advance(100_000 + KEEP - 1);
    assertEquals(1, memory.sessions.size());
    advance(100_000 + KEEP);
    assertEquals(0, memory.sessions.size());
  }

  @Test
  void historyOfOneUserIsBounded() {
    for (int turn = 0; turn < 600; turn++) {
      add(20_000 + turn * GAP, 10_000_000);
    }
    assertEquals(500, memory.sessions.size());
    assertEquals(20_000 + 599 * GAP, memory.sessions.get(499).start);
  }
}
