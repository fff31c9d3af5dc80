package streamgauge.flink;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs SQL statements, one an argument, in order. {@code SET 'key' = 'value'} is for all of them, wherever it stands.
 * A statement that submits a job doesn't wait for its end.
 */
public final class Job {
  private static final String TEXT = "'((?:[^']|'')*)'";
  private static final Pattern SET =
      Pattern.compile("\\s*SET\\s+" + TEXT + "\\s*=\\s*" + TEXT + "\\s*;?\\s*", Pattern.CASE_INSENSITIVE);

  private static final Pattern VIEW =
      Pattern.compile("\\s*CREATE\\s+TEMPORARY\\s+VIEW\\s+(\\w+)\\s+AS\\s(.*)", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);

  private Job() {}

  public static void main(String[] statements) {
    Configuration configuration = settingsOf(statements);
    TableEnvironment environment =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
    for (String statement : statements) {
      Matcher view = VIEW.matcher(statement);
      if (view.matches()) {
        // Not by SQL: its views are texts, each of which would be planned anew wherever it is used, the log read with it.
        environment.createTemporaryView(view.group(1), environment.sqlQuery(view.group(2)));
      } else if (!SET.matcher(statement).matches()) {
        environment.executeSql(statement);
      }
    }
  }

  static Configuration settingsOf(String[] statements) {
    Configuration configuration = new Configuration();
    for (String statement : statements) {
      Matcher set = SET.matcher(statement);
      if (set.matches()) {
        configuration.setString(unquoted(set.group(1)), unquoted(set.group(2)));
      }
    }
    return configuration;
  }

  private static String unquoted(String text) {
    return text.replace("''", "'");
  }
}
