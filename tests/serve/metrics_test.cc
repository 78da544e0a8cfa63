#include <gtest/gtest.h>

#include "lathe/serve/serve_metrics.h"

namespace lathe {
namespace {

// The text format: a bucket holds all that is at most its bound, and the last one everything.
TEST(ServeMetrics, CountHistogramsCumulatively) {
  ServeMetrics metrics;
  for (const double seconds : {0.0005, 0.001, 0.002, 100.0}) metrics.first_token("m", seconds);
  const std::string text = metrics.text({});
  const auto has = [&](std::string_view line) { return text.find(line) != std::string::npos; };
  EXPECT_TRUE(has("lathe_time_to_first_token_seconds_bucket{model=\"m\",le=\"0.001\"} 2\n"));
  EXPECT_TRUE(has("lathe_time_to_first_token_seconds_bucket{model=\"m\",le=\"60\"} 3\n"));
  EXPECT_TRUE(has("lathe_time_to_first_token_seconds_bucket{model=\"m\",le=\"+Inf\"} 4\n"));
  EXPECT_TRUE(has("lathe_time_to_first_token_seconds_count{model=\"m\"} 4\n"));
}

// A path that a client made up cannot break a line or a label.
TEST(ServeMetrics, QuoteLabels) {
  ServeMetrics metrics;
  metrics.cancelled("a\"b\\c\nd");
  EXPECT_NE(metrics.text({}).find("lathe_requests_cancelled_total{model=\"a\\\"b\\\\c\\nd\"} 1\n"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
