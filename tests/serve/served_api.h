// The endpoints without a network, over a small random model.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/letters_model.h"
#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/serve/api.h"
#include "serve/recorded_reply.h"

namespace lathe::testing {

using Json = nlohmann::ordered_json;

inline constexpr const char* kTemplate =
    "{% for m in messages %}{{ m['role'][0] }}:{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}";

class ServedApi : public ::testing::Test {
 protected:
  static ServedModelOptions options(const std::filesystem::path& folder) {
    make_letters_model(folder);
    nlohmann::ordered_json config = read_json_file(folder / "config.json");
    config["max_position_embeddings"] = 4096;  // answers that are long enough to be stopped
    write_json_file(folder / "config.json", config);
    std::ofstream(folder / "chat_template.jinja") << kTemplate;
    return {.name = "letters", .path = folder.string(), .parallel = 4, .max_queue = 8};
  }
  HttpResponse ask(const std::string& method, const std::string& path, const Json& body = nullptr,
                   HttpHeaders headers = {}) {
    const auto reply = send(method, path, body, std::move(headers));
    return reply->wait();
  }
  std::shared_ptr<RecordedReply> send(const std::string& method, const std::string& path,
                                      const Json& body, HttpHeaders headers = {}) {
    HttpRequest request{.method = method, .path = path, .headers = std::move(headers)};
    if (body.is_string())
      request.body = body.get<std::string>();
    else if (!body.is_null())
      request.body = body.dump();
    auto reply = std::make_shared<RecordedReply>();
    api_.handle(request, reply);
    return reply;
  }
  Json chat(Json more) {
    Json body = {{"model", "letters"}, {"messages", {{{"role", "user"}, {"content", "abc de"}}}}};
    body.update(more);
    return body;
  }
  Json asked(Json more) {
    const HttpResponse r = ask("POST", "/v1/chat/completions", chat(std::move(more)));
    EXPECT_EQ(r.status, 200) << r.body;
    return Json::parse(r.body);
  }
  // Status, and the key that the error names.
  std::pair<int, std::string> refused(Json more, const std::string& path = "/v1/chat/completions") {
    const HttpResponse r = ask("POST", path, chat(std::move(more)));
    const Json error = Json::parse(r.body).value("error", Json::object());
    EXPECT_FALSE(error.value("message", "").empty()) << r.body;
    return {r.status, error.contains("param") && error["param"].is_string() ? error["param"] : ""};
  }

  TempFolder folder_;
  ServedModels models_{{options(folder_ / "letters")}, Log()};
  Api api_{models_, {}, Log()};
};

}  // namespace lathe::testing
