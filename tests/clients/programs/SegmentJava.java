// Every call of Segment's SDK for Java.
// [set up]
import com.segment.analytics.Analytics;
import com.segment.analytics.messages.TrackMessage;
// [end]
import com.segment.analytics.Callback;
import com.segment.analytics.messages.AliasMessage;
import com.segment.analytics.messages.GroupMessage;
import com.segment.analytics.messages.IdentifyMessage;
import com.segment.analytics.messages.Message;
import com.segment.analytics.messages.MessageBuilder;
import com.segment.analytics.messages.PageMessage;
import com.segment.analytics.messages.ScreenMessage;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

class SegmentJava {
    static final int PATIENCE_SECONDS = 60;

    public static void main(String[] arguments) throws InterruptedException {
        String HOST = arguments[0];
        String KEY = arguments[1];
        List<MessageBuilder<?, ?>> messages = List.of(
            IdentifyMessage.builder().traits(Map.of("email", "a@example.com", "plan", "pro")),
            TrackMessage.builder("Product Viewed").properties(Map.of("product_id", "864115", "price", 45)),
            TrackMessage.builder("Order Completed").properties(Map.of(
                "order_id", "o-1",
                "total", 27.5,
                "products", List.of(Map.of("product_id", "864115", "price", 19), Map.of("sku", "45790-32", "price", 8.5)))),
            PageMessage.builder("Home").properties(Map.of("url", "https://shop.example.com/")),
            ScreenMessage.builder("Home"),
            GroupMessage.builder("g-1").traits(Map.of("name", "Acme")),
            AliasMessage.builder("device-1"));
        Report report = new Report(messages.size());
        // [set up]

        Analytics analytics = Analytics.builder(KEY).endpoint(HOST).callback(report).build();
        // [end]
        for (MessageBuilder<?, ?> message : messages) {
            analytics.enqueue(message.userId("u-8812"));
        }
        analytics.flush();
        report.end();
    }

    /** Waits until every message was answered, and ends the program with what the SDK reported. */
    record Report(CountDownLatch unanswered, StringBuffer errors) implements Callback {
        Report(int messages) {
            this(new CountDownLatch(messages), new StringBuffer());
        }

        @Override
        public void success(Message message) {
            unanswered.countDown();
        }

        @Override
        public void failure(Message message, Throwable error) {
            errors.append(message.type()).append(": ").append(error).append(' ');
            unanswered.countDown();
        }

        void end() throws InterruptedException {
            if (!unanswered.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                errors.append(unanswered.getCount()).append(" messages were not answered");
            }
            System.out.printf("{\"errors\": [%s]}%n", errors.isEmpty() ? "" : "\"" + errors + "\"");
            System.exit(errors.isEmpty() ? 0 : 1);
        }
    }
}
