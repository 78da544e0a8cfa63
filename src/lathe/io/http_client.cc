#include "lathe/io/http_client.h"

#include <curl/curl.h>

#include <map>
#include <new>
#include <stdexcept>

namespace lathe {
namespace {

struct CurlLibrary {
  CurlLibrary() {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw std::runtime_error("libcurl cannot be started");
  }
};

void start_library() { static const CurlLibrary kLibrary; }

template <class T>
T* made(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

struct Transfer {
  uint64_t id = 0;
  HttpRequest request;
  HttpReply reply;
  size_t most = 0;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  char problem[CURL_ERROR_SIZE] = {};

  Transfer() = default;
  ~Transfer() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  void add_header(const std::string& line) {
    headers = made(curl_slist_append(headers, line.c_str()));
  }
};

// More than the limit ends the transfer.
size_t keep(char* bytes, size_t size, size_t count, void* to) {
  auto& transfer = *static_cast<Transfer*>(to);
  if (size * count > transfer.most - transfer.reply.body.size()) return 0;
  transfer.reply.body.append(bytes, size * count);
  return size * count;
}

}  // namespace

struct HttpClient::State {
  HttpLimits limits;
  CURLM* multi = nullptr;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers;

  ~State() {
    for (const auto& [easy, transfer] : transfers) curl_multi_remove_handle(multi, easy);
    transfers.clear();
    curl_multi_cleanup(multi);
  }
};

HttpClient::HttpClient(const HttpLimits& limits) : state_(std::make_unique<State>()) {
  start_library();
  state_->limits = limits;
  state_->multi = made(curl_multi_init());
}
HttpClient::~HttpClient() = default;

size_t HttpClient::open() const { return state_->transfers.size(); }

void HttpClient::post(uint64_t id, HttpRequest request) {
  auto transfer = std::make_unique<Transfer>();
  Transfer& t = *transfer;
  t.id = id;
  t.request = std::move(request);
  t.most = state_->limits.bytes;
  t.easy = made(curl_easy_init());
  t.add_header("Content-Type: application/json");
  t.add_header("Expect:");  // no question whether the body may be sent
  for (const std::string& line : t.request.headers) t.add_header(line);
  const auto set = [&](CURLoption option, auto value) {
    if (curl_easy_setopt(t.easy, option, value) != CURLE_OK)
      throw std::runtime_error("libcurl does not know an option that it needs");
  };
  set(CURLOPT_URL, t.request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTPHEADER, t.headers);
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.request.body.size()));
  set(CURLOPT_POSTFIELDS, t.request.body.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(1000 * state_->limits.connect_seconds));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(1000 * state_->limits.seconds));
  set(CURLOPT_WRITEFUNCTION, keep);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&t));
  set(CURLOPT_ERRORBUFFER, t.problem);
  set(CURLOPT_NOSIGNAL, 1L);
  if (curl_multi_add_handle(state_->multi, t.easy) != CURLM_OK) throw std::bad_alloc();
  state_->transfers.emplace(t.easy, std::move(transfer));
}

void HttpClient::wait(double seconds,
                      const std::function<void(uint64_t id, HttpReply reply)>& take) {
  int running = 0;
  curl_multi_perform(state_->multi, &running);
  if (running > 0) {
    curl_multi_poll(state_->multi, nullptr, 0, static_cast<int>(1000 * seconds), nullptr);
    curl_multi_perform(state_->multi, &running);
  }
  std::vector<std::unique_ptr<Transfer>> ended;
  for (int left = 0; const CURLMsg* message = curl_multi_info_read(state_->multi, &left);) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode result = message->data.result;
    auto transfer = std::move(state_->transfers.at(easy));
    state_->transfers.erase(easy);
    curl_multi_remove_handle(state_->multi, easy);
    HttpReply& reply = transfer->reply;
    if (result == CURLE_OK) {
      long status = 0;
      curl_off_t after = 0;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &after);
      reply.status = status;
      reply.retry_after = static_cast<double>(after);
    } else {
      reply.error = result == CURLE_WRITE_ERROR ? "the answer is too large"
                    : *transfer->problem != 0   ? transfer->problem
                                                : curl_easy_strerror(result);
    }
    ended.push_back(std::move(transfer));
  }
  for (const auto& transfer : ended) take(transfer->id, std::move(transfer->reply));
}

}  // namespace lathe
