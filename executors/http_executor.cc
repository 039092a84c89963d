#include "reenact/executors/http_executor.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reenact/base/mutex.h"
#include "reenact/executors/content.h"
#include "reenact/executors/http_url.h"
#include "reenact/executors/params.h"
#include "reenact/executors/public_address.h"
#include "reenact/executors/retry_after.h"
#include "reenact/executors/secrets.h"

namespace reenact {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kTimeoutDefaultMs = 30'000;
constexpr long kConnectTimeoutMs = 10'000;
constexpr std::size_t kHeaderBytesMax = 64 << 10;
constexpr int kHopsMax = 5;

// Headers that decide how a request is read or where it goes.
constexpr std::string_view kOwnHeaders[] = {"host",
                                            "content-length",
                                            "transfer-encoding",
                                            "connection",
                                            "te",
                                            "trailer",
                                            "upgrade",
                                            "expect",
                                            "idempotency-key"};

std::string Lower(std::string text) {
  for (char& c : text) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

bool IsTokenCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), IsTokenCharacter);
}

bool IsHeaderValue(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) ==
         std::string_view::npos;
}

// --- what is asked for -------------------------------------------------------

// With secrets in it: nothing of it goes into an answer.
struct Request {
  std::string method;
  std::string url;
  PlainUrl place;
  std::vector<std::string> headers;  // "name: value"
  Bytes body;
  bool has_body = false;
  Task::Clock::time_point deadline;
  std::uint64_t response_bytes_max = 0;
  bool follow_redirects = false;
  std::vector<std::int64_t> expect_status;  // empty: 200 to 299
  std::vector<std::string> response_headers;
};

absl::StatusOr<std::string> HeaderLine(const std::string& name,
                                       const std::string& value,
                                       const Secrets& secrets) {
  const auto refuse = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parameter \"headers.", name.substr(0, 100), "\" ", ToAbsl(what)));
  };
  if (!IsToken(name)) return refuse("is no name of a header");
  const std::string lower = Lower(name);
  if (std::find(std::begin(kOwnHeaders), std::end(kOwnHeaders), lower) !=
      std::end(kOwnHeaders)) {
    return refuse("is set by the executor");
  }
  REENACT_ASSIGN_OR_RETURN(const std::string text, secrets.Expand(value));
  if (!IsHeaderValue(text)) return refuse("has a line break in it");
  // libcurl's spelling of a header without a value.
  return text.empty() ? name + ";" : name + ": " + text;
}

absl::StatusOr<Request> ReadRequest(Task& task, const HttpOptions& options) {
  Params params(task.effect().params);
  Request request;
  request.has_body = params.Has("body");
  request.method = params.Text("method", request.has_body ? "POST" : "GET");
  const std::string url = params.Text("url");
  const auto headers = params.TextMap("headers");
  const cbor::Value* const body = params.Any("body");
  const std::int64_t timeout_max = options.timeout_max.count();
  const milliseconds timeout(params.Integer(
      "timeout_ms", std::min(kTimeoutDefaultMs, timeout_max), 1, timeout_max));
  const auto size_max = static_cast<std::int64_t>(options.response_bytes_max);
  request.response_bytes_max = static_cast<std::uint64_t>(
      params.Integer("response_bytes_max", size_max, 0, size_max));
  request.follow_redirects = params.Bool("follow_redirects", false);
  request.expect_status = params.Integers("expect_status");
  request.response_headers = {"content-type"};
  if (params.Has("response_headers")) {
    request.response_headers = params.Texts("response_headers");
  }
  if (!IsToken(request.method) || request.method == "CONNECT" ||
      request.method == "TRACE") {
    params.Fail("method", "is not one that can be sent");
  }
  REENACT_RETURN_IF_ERROR(params.Finish());

  if (options.public_only && !options.proxy.empty()) {
    return absl::FailedPreconditionError(
        "this program connects to public addresses only, and has a proxy that "
        "would connect to any");
  }
  REENACT_ASSIGN_OR_RETURN(request.place, ParseHttpUrl(url));
  REENACT_ASSIGN_OR_RETURN(request.url, task.secrets().Expand(url));
  REENACT_RETURN_IF_ERROR(ParseHttpUrl(request.url).status());
  for (const auto& [name, value] : headers) {
    REENACT_ASSIGN_OR_RETURN(std::string line,
                             HeaderLine(name, value, task.secrets()));
    request.headers.push_back(std::move(line));
  }
  request.headers.push_back("Idempotency-Key: " +
                            task.effect().idempotency_key.ToHex());
  REENACT_ASSIGN_OR_RETURN(
      request.body, ContentOf("body", body, task, options.request_bytes_max));
  for (std::string& name : request.response_headers) name = Lower(name);
  request.deadline = Task::Clock::now() + TimeLeft(task, timeout);
  return request;
}

// --- what came back ----------------------------------------------------------

struct Response {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  Bytes body;
  std::string redirect;                  // absolute; empty: there is none
  std::vector<std::string> retry_after;  // as it came

  std::optional<milliseconds> Patience() const;
};

struct Traffic {
  std::uint64_t calls = 0;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  // kPerhaps as soon as there was a connection to send on: what the system took
  // off our hands the other side may have read.
  Reach reach = Reach::kKnown;

  Amounts ToAmounts() const {
    return {{"calls", calls}, {"bytes_in", in}, {"bytes_out", out}};
  }
};

std::string_view Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// What was asked for, and of several the longest. Dates are told from the date
// that the server says it has, where it does: its clock need not be ours.
std::optional<milliseconds> Response::Patience() const {
  const auto date = headers.find("date");
  const std::int64_t ours =
      std::chrono::duration_cast<std::chrono::seconds>(
          std::chrono::system_clock::now().time_since_epoch())
          .count();
  const std::int64_t now =
      date == headers.end() ? ours : ParseHttpDate(date->second).value_or(ours);
  std::optional<milliseconds> patience;
  for (const std::string& value : retry_after) {
    patience = std::max(patience, ParseRetryAfter(value, now));
  }
  return patience;
}

// Takes in what libcurl delivers, up to the limits.
class Receiver {
 public:
  explicit Receiver(std::uint64_t body_max) : body_max_(body_max) {}

  static std::size_t OnHeader(char* data, std::size_t size, std::size_t count,
                              void* receiver) {
    return static_cast<Receiver*>(receiver)->Header(
        std::string_view(data, size * count));
  }
  static std::size_t OnBody(char* data, std::size_t size, std::size_t count,
                            void* receiver) {
    return static_cast<Receiver*>(receiver)->Body(
        std::string_view(data, size * count));
  }

  bool header_too_large() const { return header_bytes_ > kHeaderBytesMax; }
  bool body_too_large() const { return body_too_large_; }
  // libcurl takes the end of a connection for the end of the headers, too.
  bool headers_ended() const { return headers_ended_; }
  Response& response() { return response_; }

 private:
  std::size_t Header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_too_large()) return 0;
    const std::size_t colon = line.find(':');
    if (line.substr(0, 5) == "HTTP/") {
      response_.headers.clear();  // what came before was not final
      response_.retry_after.clear();
      headers_ended_ = false;
    } else if (Trimmed(line).empty()) {
      headers_ended_ = true;
    } else if (colon != std::string_view::npos) {
      Field(Lower(std::string(line.substr(0, colon))),
            Trimmed(line.substr(colon + 1)));
    }
    return line.size();
  }

  void Field(const std::string& name, std::string_view text) {
    if (name == "retry-after") response_.retry_after.emplace_back(text);
    std::string& value = response_.headers[name];
    if (!value.empty()) value += ", ";
    value += text;
  }

  std::size_t Body(std::string_view part) {
    body_too_large_ = part.size() > body_max_ - response_.body.size();
    if (body_too_large_) return 0;
    response_.body += part;
    return part.size();
  }

  const std::uint64_t body_max_;
  std::size_t header_bytes_ = 0;
  bool body_too_large_ = false;
  bool headers_ended_ = false;
  Response response_;
};

// Makes the sockets of a transfer, to public addresses only.
class PublicSockets {
 public:
  static curl_socket_t OnSocket(void* sockets, curlsocktype,
                                curl_sockaddr* address) {
    return static_cast<PublicSockets*>(sockets)->Make(*address);
  }
  bool refused_all() const { return refused_ && !made_; }

 private:
  curl_socket_t Make(const curl_sockaddr& address) {
    if (!IsPublicAddress(address.addr)) {
      refused_ = true;
      return CURL_SOCKET_BAD;
    }
    made_ = true;
    return ::socket(address.family, address.socktype | SOCK_CLOEXEC,
                    address.protocol);
  }

  bool refused_ = false;
  bool made_ = false;
};

struct Handle {
  Handle() : easy(curl_easy_init()), multi(curl_multi_init()) {}
  ~Handle() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  CURL* const easy;
  CURLM* const multi;  // keeps the connections
};

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

HeaderList ListOf(const Request& request) {
  HeaderList list;
  const auto append = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return;
    (void)list.release();
    list.reset(longer);
  };
  // Headers that libcurl would add on its own.
  append("Expect:");
  if (request.has_body) append("Content-Type:");
  for (const std::string& line : request.headers) append(line);
  return list;
}

void SetUp(CURL* easy, const Request& request, const HttpOptions& options) {
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, options.proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_NETRC, long{CURL_NETRC_IGNORED});
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  }
  const auto left = std::chrono::duration_cast<milliseconds>(
      request.deadline - Task::Clock::now());
  const long timeout = std::max(1L, static_cast<long>(left.count()));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   std::min(timeout, kConnectTimeoutMs));
  if (request.has_body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
  } else if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

template <typename T>
T Info(CURL* easy, CURLINFO what) {
  T value{};
  curl_easy_getinfo(easy, what, &value);
  return value;
}

std::uint64_t Count(curl_off_t value) {
  return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

// What libcurl's code means to the effect: whether it may help to try again.
absl::Status StatusOfTransfer(CURLcode code, const Receiver& receiver,
                              const Request& request, const Traffic& traffic) {
  // The host is in the effect's parameters, so it may be in messages.
  const auto message = [&](std::string_view what) {
    return absl::StrCat(ToAbsl(request.place.host), ":", request.place.port,
                        ": ", ToAbsl(what));
  };
  if (receiver.body_too_large() || code == CURLE_FILESIZE_EXCEEDED) {
    return absl::OutOfRangeError(message(absl::StrCat(
        "the response has more than ", request.response_bytes_max, " bytes")));
  }
  if (receiver.header_too_large()) {
    return absl::OutOfRangeError(message(absl::StrCat(
        "the response has more than ", kHeaderBytesMax, " bytes of headers")));
  }
  switch (code) {
    case CURLE_OK:
      if (receiver.headers_ended()) return absl::OkStatus();
      return absl::UnavailableError(message("the answer broke off"));
    case CURLE_OPERATION_TIMEDOUT:
      return absl::UnavailableError(message(traffic.reach == Reach::kPerhaps
                                                ? "no answer in time"
                                                : "no connection in time"));
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return absl::UnavailableError(message(curl_easy_strerror(code)));
    default:
      return absl::UnknownError(message(curl_easy_strerror(code)));
  }
}

// Drives the transfer until it ends or nobody wants it. Cancelled: the latter.
absl::StatusOr<CURLcode> Drive(const Handle& handle, Task& task) {
  for (;;) {
    int running = 0;
    if (curl_multi_perform(handle.multi, &running) != CURLM_OK) break;
    int left = 0;
    if (const CURLMsg* done = curl_multi_info_read(handle.multi, &left)) {
      return done->data.result;
    }
    if (task.cancelled()) return absl::CancelledError("cancelled");
    curl_waitfd wait{task.cancel_fd(), CURL_WAIT_POLLIN, 0};
    const unsigned extra = wait.fd >= 0 ? 1 : 0;
    if (curl_multi_poll(handle.multi, &wait, extra, 1000, nullptr) !=
        CURLM_OK) {
      break;
    }
  }
  return absl::UnavailableError("libcurl cannot go on");
}

absl::StatusOr<Response> Transfer(const Handle& handle, const Request& request,
                                  const HttpOptions& options, Task& task,
                                  Traffic* traffic) {
  if (Task::Clock::now() >= request.deadline) {
    return absl::UnavailableError("no time is left for it");
  }
  CURL* const easy = handle.easy;
  Receiver receiver(request.response_bytes_max);
  const HeaderList headers = ListOf(request);
  SetUp(easy, request, options);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, Receiver::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &receiver);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Receiver::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &receiver);
  curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                   static_cast<curl_off_t>(request.response_bytes_max));
  PublicSockets sockets;
  if (options.public_only) {
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, PublicSockets::OnSocket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &sockets);
  }
  curl_multi_add_handle(handle.multi, easy);
  const absl::StatusOr<CURLcode> code = Drive(handle, task);
  ++traffic->calls;
  // Kept over redirects, and over what libcurl does by itself when a connection
  // that it kept turns out to be dead: connecting anew, for the same request.
  if (Info<curl_off_t>(easy, CURLINFO_PRETRANSFER_TIME_T) > 0) {
    traffic->reach = Reach::kPerhaps;
  }
  traffic->in += Count(Info<curl_off_t>(easy, CURLINFO_SIZE_DOWNLOAD_T)) +
                 Count(Info<long>(easy, CURLINFO_HEADER_SIZE));
  traffic->out += Count(Info<curl_off_t>(easy, CURLINFO_SIZE_UPLOAD_T)) +
                  Count(Info<long>(easy, CURLINFO_REQUEST_SIZE));
  Response& response = receiver.response();
  response.status = Info<long>(easy, CURLINFO_RESPONSE_CODE);
  if (const char* url = Info<char*>(easy, CURLINFO_REDIRECT_URL)) {
    response.redirect = url;
  }
  // Without this one, libcurl would go on with a transfer that was given up.
  curl_multi_remove_handle(handle.multi, easy);
  REENACT_RETURN_IF_ERROR(code.status());
  if (*code == CURLE_COULDNT_CONNECT && sockets.refused_all()) {
    return absl::PermissionDeniedError(
        absl::StrCat(ToAbsl(request.place.host),
                     ": it has no public address, and this program connects to "
                     "no others"));
  }
  REENACT_RETURN_IF_ERROR(StatusOfTransfer(*code, receiver, request, *traffic));
  return std::move(response);
}

bool IsRedirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 ||
         status == 308;
}

// Turns `request` into the one that a redirect asks for.
absl::Status Redirect(const Response& response, Request* request) {
  REENACT_ASSIGN_OR_RETURN(const PlainUrl place,
                           ParseHttpUrl(response.redirect));
  if (place != request->place) {
    return absl::PermissionDeniedError(
        "it redirects to another place, which is not followed");
  }
  request->url = response.redirect;
  const bool post = request->method == "POST";
  if ((response.status == 303 && request->method != "HEAD") ||
      (post && response.status <= 302)) {
    request->method = "GET";
    request->has_body = false;
  }
  return absl::OkStatus();
}

absl::StatusOr<Response> Ask(const Handle& handle, Request request,
                             const HttpOptions& options, Task& task,
                             Traffic* traffic) {
  for (int hop = 0; hop <= kHopsMax; ++hop) {
    REENACT_ASSIGN_OR_RETURN(Response response,
                             Transfer(handle, request, options, task, traffic));
    if (!request.follow_redirects || !IsRedirect(response.status) ||
        response.redirect.empty()) {
      return response;
    }
    REENACT_RETURN_IF_ERROR(Redirect(response, &request));
  }
  return absl::OutOfRangeError(
      absl::StrCat("it redirects more than ", kHopsMax, " times"));
}

// --- the answer --------------------------------------------------------------

bool IsExpected(const Request& request, long status) {
  const auto& expected = request.expect_status;
  if (expected.empty()) return status >= 200 && status < 300;
  return std::find(expected.begin(), expected.end(), status) != expected.end();
}

// What a status that was not expected says. A service that says 4xx has looked
// at the request and refused it, for now or for good. Not so 408, which
// services say of work that they gave up, too; nor 5xx, as whoever says it may
// have begun, or stand in front of one that had; nor 2xx and 3xx, with which
// many tell that it is done. Behind a redirect it was another request that was
// refused.
Reach ReachOf(long status, const Traffic& traffic) {
  const bool refused = status >= 400 && status < 500 && status != 408;
  return refused && traffic.calls == 1 ? Reach::kKnown : Reach::kPerhaps;
}

bool MayHelpAgain(long status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

cbor::Value HeadersOf(const Request& request, const Response& response,
                      const Secrets& secrets) {
  cbor::Value headers = cbor::Value::Map();
  for (const std::string& name : request.response_headers) {
    const auto found = response.headers.find(name);
    if (found == response.headers.end()) continue;
    headers.Set(name, TextValue(secrets.Redact(found->second)));
  }
  return headers;
}

Answer AnswerTo(const Request& request, const Response& response,
                const HttpOptions& options, Task& task,
                const Traffic& traffic) {
  Answer answer;
  const bool expected = IsExpected(request, response.status);
  const Reach reach =
      expected ? Reach::kPerhaps : ReachOf(response.status, traffic);
  cbor::Value payload = cbor::Value::Map(
      {{"status", cbor::Value(std::int64_t{response.status})},
       {"headers", HeadersOf(request, response, task.secrets())}});
  const absl::Status kept = KeepContent(
      "body", response.body, options.inline_bytes_max, task, &payload, &answer);
  if (!kept.ok()) return AnswerOf(kept, task, traffic.ToAmounts(), reach);
  if (!expected) {
    answer.status = reach == Reach::kKnown ? ReceiptStatus::kError
                                           : ReceiptStatus::kTimeout;
    answer.transient = MayHelpAgain(response.status);
    if (answer.transient) answer.retry_after = response.Patience();
    payload.Set("error", cbor::Value(absl::StrCat("status ", response.status)));
  }
  answer.payload = payload.Encode();
  answer.usage = traffic.ToAmounts();
  return answer;
}

}  // namespace

// Handles that are not in use, with the connections that they keep open.
class HttpExecutor::Connections {
 public:
  Connections() {
    static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)once;
  }

  std::unique_ptr<Handle> Take() {
    MutexLock lock(&mutex_);
    if (idle_.empty()) return std::make_unique<Handle>();
    std::unique_ptr<Handle> handle = std::move(idle_.back());
    idle_.pop_back();
    return handle;
  }

  void GiveBack(std::unique_ptr<Handle> handle) {
    curl_easy_reset(handle->easy);  // forgets what it holds of the request
    MutexLock lock(&mutex_);
    if (idle_.size() < kIdleMax) idle_.push_back(std::move(handle));
  }

 private:
  static constexpr std::size_t kIdleMax = 16;

  Mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_ ABSL_GUARDED_BY(mutex_);
};

HttpExecutor::HttpExecutor(HttpOptions options)
    : options_(std::move(options)),
      connections_(std::make_unique<Connections>()) {}

HttpExecutor::~HttpExecutor() = default;

std::string HttpExecutor::PeerOf(const OpenEffect& effect) const {
  Params params(effect.params);
  const auto place = ParsePlainUrl(params.Text("url", ""));
  if (!place.has_value()) return "";
  return absl::StrCat(place->host, ":", place->port);
}

Answer HttpExecutor::Execute(Task& task) {
  const absl::StatusOr<Request> request = ReadRequest(task, options_);
  if (!request.ok()) return AnswerOf(request.status(), task);
  std::unique_ptr<Handle> handle = connections_->Take();
  if (handle->easy == nullptr || handle->multi == nullptr) {
    return Answer::Transient("no memory for a connection");
  }
  Traffic traffic;
  const absl::StatusOr<Response> response =
      Ask(*handle, *request, options_, task, &traffic);
  connections_->GiveBack(std::move(handle));
  if (!response.ok()) {
    return AnswerOf(response.status(), task, traffic.ToAmounts(),
                    traffic.reach);
  }
  return AnswerTo(*request, *response, options_, task, traffic);
}

}  // namespace reenact
