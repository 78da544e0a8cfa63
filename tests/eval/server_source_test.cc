// A server of this process that fails, asks to wait and says nonsense.
#include "lathe/eval/ask/server_source.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "io/temp_folder.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// Answers one request after the other, each on a connection of its own.
class Server {
 public:
  struct Reply {
    int status = 200;
    std::string body, headers = {};
  };
  explicit Server(std::function<Reply(size_t number, const Json& request)> reply)
      : reply_(std::move(reply)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* at = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, at, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, at, &size) != 0)
      throw std::runtime_error("no server");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/"; }
  std::vector<Json> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::vector<std::string> heads() {
    const std::lock_guard lock(mutex_);
    return heads_;
  }

 private:
  void serve() {
    while (!ending_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) continue;
      answer(connection);
      ::close(connection);
    }
  }

  void answer(int connection) {
    std::string text;
    char buffer[4096];
    size_t body = std::string::npos, length = 0;
    while (body == std::string::npos || text.size() < body + length) {
      const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      text.append(buffer, static_cast<size_t>(got));
      if (const size_t end = text.find("\r\n\r\n"); end != std::string::npos) {
        body = end + 4;
        length = std::stoul(text.substr(text.find("Content-Length:") + 15));
      }
    }
    const Json request = Json::parse(text.substr(body));
    size_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = requests_.size();
      requests_.push_back(request);
      heads_.push_back(text.substr(0, body));
    }
    const Reply reply = reply_(number, request);
    const std::string out =
        "HTTP/1.1 " + std::to_string(reply.status) + " x\r\nConnection: close\r\n" + reply.headers +
        "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
    ::send(connection, out.data(), out.size(), MSG_NOSIGNAL);
  }

  std::function<Reply(size_t, const Json&)> reply_;
  int listener_;
  uint16_t port_ = 0;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::vector<Json> requests_;
  std::vector<std::string> heads_;
  std::thread thread_;
};

std::string completion(const std::vector<std::string>& texts) {
  Json choices = Json::array();
  for (const std::string& text : texts)
    choices.push_back({{"message", {{"role", "assistant"}, {"content", text}}}});
  return Json{{"choices", choices}}.dump();
}

class Servers : public ::testing::Test {
 protected:
  Servers() {
    std::string rows;
    for (int i = 0; i < 6; ++i)
      rows += Json{{"q", "say " + std::to_string(i)}, {"a", "x"}}.dump() + "\n";
    folder_.write("rows.jsonl", rows);
  }
  EvalTask task(const std::string& more = "") {
    folder_.write(
        "task.toml",
        "name = \"t\"\nkind = \"generate\"\ndata = \"rows.jsonl\"\nprompt = \"{{q}}\"\ntarget = "
        "\"{{a}}\"\nmetrics = [\"exact_match\"]\nmax_tokens = 9\n" +
            more);
    return {read_task_config(folder_ / "task.toml"), 0, Rng(0)};
  }
  // The first answer of each item that came, by its place; what was thrown is in error_.
  std::map<size_t, std::string> ask(ServerSetting setting, const EvalTask& of) {
    std::vector<EvalItem> items;
    for (int64_t id = 0; id < of.size(); ++id) items.push_back(of.item(id));
    std::map<size_t, std::string> answers;
    error_ = error_text([&] {
      ServerSource(std::move(setting)).ask(of.config(), items, [&](std::span<NumberedAnswer> some) {
        for (const NumberedAnswer& each : some) answers[each.item] = each.answer.responses.at(0);
      });
    });
    return answers;
  }

  TempFolder folder_;
  std::string error_;
};

TEST_F(Servers, AreAskedAsOpenAIs) {
  Server server([](size_t, const Json& request) {
    return Server::Reply{
        .body = completion({"to " + request["messages"][0]["content"].get<std::string>()})};
  });
  const auto answers = ask({.url = server.url(), .model = "m", .concurrency = 2, .key = "secret"},
                           task("stop = [\"\\n\"]\n"));
  EXPECT_EQ(error_, "no error");
  ASSERT_EQ(answers.size(), 6u);
  for (const auto& [item, text] : answers) EXPECT_EQ(text, "to say " + std::to_string(item));
  const Json request = server.requests()[0];
  EXPECT_EQ(request["model"], "m");
  EXPECT_EQ(request["temperature"], 0.0);
  EXPECT_EQ(request["max_tokens"], 9);
  EXPECT_EQ(request["stop"], Json({"\n"}));
  EXPECT_EQ(server.heads()[0].find("POST /v1/chat/completions "), 0u);
  EXPECT_NE(server.heads()[0].find("Authorization: Bearer secret\r\n"), std::string::npos);
}

TEST_F(Servers, AreAskedAgainWhenTheyFail) {
  Server server([](size_t number, const Json&) {
    if (number % 2 == 0) return Server::Reply{.status = 503, .body = "busy"};
    return Server::Reply{.body = completion({"x"})};
  });
  EXPECT_EQ(ask({.url = server.url(), .model = "m", .retries = 2, .concurrency = 1}, task()).size(),
            6u);
  EXPECT_EQ(error_, "no error");
}

// What came is kept; the error says what the server said.
TEST_F(Servers, ThatGoOnFailingEndTheRun) {
  Server server([](size_t number, const Json&) {
    if (number >= 3) return Server::Reply{.status = 500, .body = "{\"error\": \"overloaded\"}"};
    return Server::Reply{.body = completion({"x"})};
  });
  EXPECT_EQ(ask({.url = server.url(), .model = "m", .retries = 0, .concurrency = 2}, task()).size(),
            3u);
  EXPECT_NE(error_.find("answered 500: {\"error\": \"overloaded\"}"), std::string::npos) << error_;
  EXPECT_NE(error_.find("go on with --resume"), std::string::npos) << error_;
}

TEST_F(Servers, ThatRefuseAreNotAskedAgain) {
  Server server([](size_t, const Json&) { return Server::Reply{.status = 401, .body = "no key"}; });
  ask({.url = server.url(), .model = "m", .retries = 5, .concurrency = 1}, task());
  EXPECT_NE(error_.find("answered 401: no key"), std::string::npos) << error_;
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Servers, ThatSaySomethingElse) {
  Server nonsense([](size_t, const Json&) { return Server::Reply{.body = "<html>"}; });
  ask({.url = nonsense.url(), .model = "m", .concurrency = 1}, task());
  EXPECT_NE(error_.find("something else than a chat completion: <html>"), std::string::npos)
      << error_;
  Server single([](size_t, const Json& request) {
    EXPECT_EQ(request["n"], 3);
    return Server::Reply{.body = completion({"x"})};
  });
  ask({.url = single.url(), .model = "m", .concurrency = 1},
      task("samples = 3\ntemperature = 1.0\n"));
  EXPECT_NE(error_.find("gave 1 answers to a request for 3"), std::string::npos) << error_;
}

TEST_F(Servers, ThatAreNotThere) {
  ask({.url = "http://127.0.0.1:1/v1", .model = "m", .retries = 0}, task());
  EXPECT_NE(error_.find("gave no answer: "), std::string::npos) << error_;
}

}  // namespace
}  // namespace lathe
