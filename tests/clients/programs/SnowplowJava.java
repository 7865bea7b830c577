// The events of Snowplow's SDK for Java, which sends by POST alone.
// [set up]
import com.snowplowanalytics.snowplow.tracker.Snowplow;
import com.snowplowanalytics.snowplow.tracker.Tracker;
import com.snowplowanalytics.snowplow.tracker.configuration.EmitterConfiguration;
import com.snowplowanalytics.snowplow.tracker.configuration.NetworkConfiguration;
import com.snowplowanalytics.snowplow.tracker.configuration.SubjectConfiguration;
import com.snowplowanalytics.snowplow.tracker.configuration.TrackerConfiguration;
// [end]
import com.snowplowanalytics.snowplow.tracker.emitter.EmitterCallback;
import com.snowplowanalytics.snowplow.tracker.emitter.FailureType;
import com.snowplowanalytics.snowplow.tracker.events.EcommerceTransaction;
import com.snowplowanalytics.snowplow.tracker.events.EcommerceTransactionItem;
import com.snowplowanalytics.snowplow.tracker.events.Event;
import com.snowplowanalytics.snowplow.tracker.events.PageView;
import com.snowplowanalytics.snowplow.tracker.events.ScreenView;
import com.snowplowanalytics.snowplow.tracker.events.SelfDescribing;
import com.snowplowanalytics.snowplow.tracker.events.Structured;
import com.snowplowanalytics.snowplow.tracker.events.Timing;
import com.snowplowanalytics.snowplow.tracker.payload.SelfDescribingJson;
import com.snowplowanalytics.snowplow.tracker.payload.TrackerPayload;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

class SnowplowJava {
    static final long DEADLINE = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    static final int EVENTS = 7;

    public static void main(String[] arguments) throws InterruptedException {
        String HOST = arguments[0];
        String KEY = arguments[1];
        Report report = new Report(EVENTS);
        // [set up]

        Tracker tracker = Snowplow.createTracker(
            new TrackerConfiguration("shop", KEY),
            new NetworkConfiguration(HOST),
            new EmitterConfiguration().batchSize(EVENTS).callback(report),
            new SubjectConfiguration().userId("u-8812").domainUserId("device-1"));
        // [end]
        SelfDescribingJson plan = new SelfDescribingJson("iglu:com.example/plan/jsonschema/1-0-0", Map.of("name", "pro"));
        SelfDescribingJson viewed =
            new SelfDescribingJson("iglu:com.example/viewed_product/jsonschema/1-0-0", Map.of("sku", "45790-32"));
        EcommerceTransactionItem item =
            EcommerceTransactionItem.builder().itemId("o-1").sku("864115").name("Television").price(19.0).quantity(1).build();
        List<Event> events = List.of(
            PageView.builder().pageUrl("https://shop.example.com/p/864115").pageTitle("Television")
                .customContext(List.of(plan)).build(),
            Structured.builder().category("product").action("view").label("Television").property("864115").value(45.0).build(),
            SelfDescribing.builder().eventData(viewed).build(),
            ScreenView.builder().name("Home").id("s-1").build(),
            Timing.builder().category("page").variable("load").timing(120).build(),
            EcommerceTransaction.builder().orderId("o-1").totalValue(19.0).items(item).build());
        for (Event event : events) {
            tracker.track(event);
        }
        // The tracker keeps what failed until its next event, or until it is flushed.
        do {
            tracker.getEmitter().flushBuffer();
        } while (report.isWaiting());
        report.end();
    }

    /** Waits until every event was answered, and ends the program with what the SDK reported. */
    record Report(CountDownLatch unanswered, StringBuffer errors) implements EmitterCallback {
        Report(int events) {
            this(new CountDownLatch(events), new StringBuffer());
        }

        @Override
        public void onSuccess(List<TrackerPayload> events) {
            events.forEach(each -> unanswered.countDown());
        }

        @Override
        public void onFailure(FailureType type, boolean willRetry, List<TrackerPayload> events) {
            errors.append(type).append(willRetry ? ", sent again " : ", dropped ");
        }

        boolean isWaiting() throws InterruptedException {
            return !unanswered.await(1, TimeUnit.SECONDS) && System.nanoTime() < DEADLINE;
        }

        void end() {
            if (unanswered.getCount() > 0) {
                errors.append(unanswered.getCount()).append(" events were not answered");
            }
            System.out.printf("{\"errors\": [%s]}%n", errors.isEmpty() ? "" : "\"" + errors + "\"");
            System.exit(errors.isEmpty() ? 0 : 1);
        }
    }
}
