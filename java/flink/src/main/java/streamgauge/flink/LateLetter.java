package streamgauge.flink;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.TableFunction;
import org.apache.flink.types.Row;

/** The dead letter of an event that came too late or too far ahead of its time: its message, and the event as it was sent. */
@FunctionHint(output = @DataTypeHint("ROW<message STRING, original STRING>"))
public class LateLetter extends TableFunction<Row> {
    private static final long DAY_MS = 86_400_000;
    private transient ObjectMapper mapper;

    public void eval(
            String reason,
            String eventId,
            String event,
            Long timestampMs,
            Long receivedMs,
            String userId,
            String anonymousId,
            String properties,
            Long latenessMs,
            Long futureMs) {
        if (reason == null || event == null) {
            return;
        }
        collect(Row.of(
                message(reason, timestampMs, receivedMs, latenessMs, futureMs),
                original(eventId, event, timestampMs, userId, anonymousId, properties)));
    }

    static String message(String reason, long timestampMs, long receivedMs, long latenessMs, long futureMs) {
        long lateMs = receivedMs - timestampMs;
        String message = reason.equals("too_late")
                ? "it was received " + seconds(lateMs) + " s after its own time; " + seconds(latenessMs) + " s are allowed"
                : "its own time is " + seconds(-lateMs) + " s after it was received; " + seconds(futureMs) + " s are allowed";
        if (Math.abs(receivedMs - timestampMs * 1000) < DAY_MS) {
            message += "; " + timestampMs + " looks like seconds, and milliseconds are meant";
        }
        return message;
    }

    private static String seconds(long milliseconds) {
        DecimalFormat grouped = new DecimalFormat("#,##0", DecimalFormatSymbols.getInstance(Locale.ROOT));
        return grouped.format(BigDecimal.valueOf(milliseconds, 3).setScale(0, RoundingMode.HALF_EVEN));
    }

    private String original(
            String eventId, String event, Long timestampMs, String userId, String anonymousId, String properties) {
        Map<String, String> fields = new LinkedHashMap<>();
        fields.put("event_id", quoted(eventId));
        fields.put("event", quoted(event));
        fields.put("timestamp", timestampMs.toString());
        if (userId != null) {
            fields.put("user_id", quoted(userId));
        }
        if (anonymousId != null) {
            fields.put("anonymous_id", quoted(anonymousId));
        }
        if (mapper == null) {
            mapper = new ObjectMapper();
        }
        try {
            mapper.readTree(properties).fields().forEachRemaining(entry -> {
                StringBuilder value = new StringBuilder();
                append(value, entry.getValue());
                fields.put(entry.getKey(), value.toString());
            });
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        StringBuilder json = new StringBuilder("{");
        fields.forEach((name, value) -> {
            if (json.length() > 1) {
                json.append(',');
            }
            JsonWriter.append(json, name);
            json.append(':').append(value);
        });
        return json.append('}').toString();
    }

    private static String quoted(String text) {
        StringBuilder json = new StringBuilder();
        JsonWriter.append(json, text);
        return json.toString();
    }

    private static void append(StringBuilder json, JsonNode node) {
        if (node.isTextual()) {
            JsonWriter.append(json, node.textValue());
        } else if (node.isFloatingPointNumber()) {
            json.append(JsonWriter.number(node.doubleValue()));
        } else if (node.isArray()) {
            json.append('[');
            for (int at = 0; at < node.size(); at++) {
                if (at > 0) {
                    json.append(',');
                }
                append(json, node.get(at));
            }
            json.append(']');
        } else if (node.isObject()) {
            json.append('{');
            Iterator<Map.Entry<String, JsonNode>> entries = node.fields();
            while (entries.hasNext()) {
                Map.Entry<String, JsonNode> entry = entries.next();
                JsonWriter.append(json, entry.getKey());
                json.append(':');
                append(json, entry.getValue());
                if (entries.hasNext()) {
                    json.append(',');
                }
            }
            json.append('}');
        } else {
            json.append(node.asText());
        }
    }
}
