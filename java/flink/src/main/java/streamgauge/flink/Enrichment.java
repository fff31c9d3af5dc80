package streamgauge.flink;

import org.apache.flink.table.functions.ScalarFunction;

/** What a profile added, as one JSON object: names and values in turns, of which those without a value are left out. */
public class Enrichment extends ScalarFunction {
    public String eval(String[] pairs) {
        StringBuilder json = new StringBuilder();
        for (int at = 0; at + 1 < pairs.length; at += 2) {
            String value = pairs[at + 1];
            if (value != null && !value.isEmpty()) {
                json.append(json.length() == 0 ? '{' : ',');
                JsonWriter.append(json, pairs[at]);
                json.append(':');
                JsonWriter.append(json, value);
            }
        }
        return json.length() == 0 ? "" : json.append('}').toString();
    }
}
