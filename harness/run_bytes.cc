#include "reenact/harness/run_bytes.h"

#include <set>

namespace reenact::harness {

void BytesOut::Number(std::uint64_t number) {
  for (int i = 0; i < 8; ++i) {
    bytes_.push_back(static_cast<char>(number >> (8 * i) & 0xff));
  }
}

void BytesOut::Text(std::string_view text) {
  Number(text.size());
  bytes_.append(text);
}

std::uint64_t BytesIn::Number() {
  if (bytes_.size() < 8) {
    ok_ = false;
    return 0;
  }
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    number |= std::uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
  }
  bytes_.remove_prefix(8);
  return number;
}

std::string BytesIn::Text() {
  const std::uint64_t size = Number();
  if (size > bytes_.size()) {
    ok_ = false;
    return "";
  }
  std::string text(bytes_.substr(0, size));
  bytes_.remove_prefix(size);
  return text;
}

namespace {

// Sites are literals; those of another process need a place here.
const char* Literal(std::string text) {
  static auto* const literals = new std::set<std::string>;
  return literals->insert(std::move(text)).first->c_str();
}

// All numbers of a run, in one order for both directions.
template <typename Run, typename Visit>
void VisitNumbers(Run& run, Visit visit) {
  visit(run.steps);
  visit(run.decisions);
  visit(run.switches);
  visit(run.tasks);
  visit(run.digest);
  visit(run.tickets);
  visit(run.longest_cell);
  visit(run.workers);
  visit(run.lives);
  visit(run.faults);
  visit(run.effects);
  visit(run.stats.conflicts);
  visit(run.stats.reruns);
}

void PutReducers(const RunResult& run, BytesOut* out) {
  out->Number(run.reducers.size());
  for (const auto& [name, tally] : run.reducers) {
    out->Text(name);
    for (const std::uint64_t number :
         {tally.steps, tally.failed, tally.runs, tally.reads, tally.bytes}) {
      out->Number(number);
    }
  }
}

void TakeReducers(BytesIn* in, RunResult* run) {
  for (std::uint64_t left = in->Number(); left > 0 && in->ok(); --left) {
    ReducerTally& tally = run->reducers[in->Text()];
    for (std::uint64_t* const number :
         {&tally.steps, &tally.failed, &tally.runs, &tally.reads,
          &tally.bytes}) {
      *number = in->Number();
    }
  }
}

void PutLog(const ChoiceLog& log, BytesOut* out) {
  out->Number(log.size());
  for (const Choice& choice : log) {
    out->Number(std::uint64_t{choice.value} << 32 | choice.bound);
    out->Number(choice.site);
  }
}

ChoiceLog TakeLog(BytesIn* in) {
  ChoiceLog log;
  for (std::uint64_t left = in->Number(); left > 0 && in->ok(); --left) {
    const std::uint64_t number = in->Number();
    log.push_back({static_cast<std::uint32_t>(number >> 32),
                   static_cast<std::uint32_t>(number),
                   static_cast<std::uint32_t>(in->Number())});
  }
  return log;
}

template <typename All>
void PutTexts(const All& texts, BytesOut* out) {
  out->Number(texts.size());
  for (const auto& text : texts) out->Text(text);
}

template <typename All>
void TakeTexts(BytesIn* in, All* texts) {
  for (std::uint64_t left = in->Number(); left > 0 && in->ok(); --left) {
    texts->push_back(in->Text());
  }
}

}  // namespace

Bytes EncodeRun(const RunResult& run) {
  BytesOut out;
  out.Number(run.violation ? 1 : 0);
  out.Text(run.violation ? run.violation->property : "");
  out.Text(run.violation ? run.violation->detail : "");
  out.Number(static_cast<std::uint64_t>(run.drift.raw_code()));
  out.Text(std::string(run.drift.message()));
  VisitNumbers(run, [&out](std::uint64_t number) { out.Number(number); });
  out.Number(run.model_applied ? 1 : 0);
  out.Text(run.journal);
  PutReducers(run, &out);
  PutLog(run.log, &out);
  PutTexts(run.blocks, &out);
  PutTexts(run.task_names, &out);
  out.Number(run.trace.size());
  for (const TraceStep& step : run.trace) {
    out.Number(step.task);
    out.Text(step.site);
  }
  return out.Take();
}

absl::StatusOr<RunResult> DecodeRun(BytesView bytes) {
  BytesIn in(bytes);
  RunResult run;
  const bool violated = in.Number() != 0;
  Violation violation{in.Text(), in.Text()};
  if (violated) run.violation = std::move(violation);
  const auto code = static_cast<absl::StatusCode>(in.Number());
  run.drift = absl::Status(code, in.Text());
  VisitNumbers(run, [&in](std::uint64_t& number) { number = in.Number(); });
  run.model_applied = in.Number() != 0;
  run.journal = in.Text();
  TakeReducers(&in, &run);
  run.log = TakeLog(&in);
  TakeTexts(&in, &run.blocks);
  TakeTexts(&in, &run.task_names);
  for (std::uint64_t left = in.Number(); left > 0 && in.ok(); --left) {
    const std::uint64_t task = in.Number();
    run.trace.push_back({task, Literal(in.Text())});
  }
  if (!in.ok()) return absl::DataLossError("a run's bytes are cut short");
  return run;
}

}  // namespace reenact::harness
