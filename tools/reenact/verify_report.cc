#include "tools/reenact/verify_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tools/reenact/render.h"
#include "tools/reenact/terminal.h"

namespace reenact::tools {
namespace {

std::string_view VerdictLine(Verdict verdict) {
  switch (verdict) {
    case Verdict::kIdentical:
      return "IDENTICAL: every byte was recomputed as recorded";
    case Verdict::kDiverged:
      return "DIVERGED: history does not replay as recorded";
    case Verdict::kImpure:
      return "IMPURE: a reducer depends on more than its step";
    case Verdict::kDamaged:
      return "DAMAGED: what is recorded is not whole";
    case Verdict::kModuleChanged:
      break;
  }
  return "MODULE CHANGED: every byte was recomputed as recorded, by other "
         "modules";
}

std::string ProbeText(const ProbeNote& note) {
  return absl::StrCat(note.Text(), ", ", WithCommas(note.calls), " times");
}

std::string HeadLine(const FullReport& full) {
  if (full.FirstAct() != nullptr && !full.report.divergence) {
    return "IMPURE: a step does something outside of its world";
  }
  return std::string(VerdictLine(full.verdict()));
}

// "name:      value" with all values in one column.
void AppendField(std::string_view name, std::string_view value,
                 std::string* text) {
  constexpr std::size_t kColumn = 14;
  absl::StrAppend(text, "  ", ToAbsl(name), ":",
                  std::string(kColumn - name.size(), ' '), ToAbsl(value), "\n");
}

std::string StateText(const std::optional<Bytes>& state) {
  return state ? cbor::Diagnose(*state) : "(absent)";
}

std::string OriginText(const ObservedRead& read) {
  if (read.written_by.value == 0) return "";
  return absl::StrCat(", written by event ", read.written_by.value);
}

void AppendDivergence(const FullReport& full, std::string* text) {
  const Divergence& divergence = *full.report.divergence;
  if (divergence.event_id.value != 0) {
    AppendField("event_id", absl::StrCat(divergence.event_id.value), text);
  }
  if (divergence.round.value != 0) {
    AppendField("round", absl::StrCat(divergence.round.value), text);
  }
  if (!divergence.reducer.empty()) {
    AppendField("reducer", divergence.reducer, text);
    AppendField("key", divergence.key, text);
  }
  const bool impure = full.report.verdict == Verdict::kImpure;
  AppendField("field", divergence.field, text);
  AppendField(impure ? "first run" : "recorded", divergence.recorded, text);
  AppendField(impure ? "second run" : "recomputed", divergence.recomputed,
              text);
  if (!divergence.cause_text.empty()) {
    AppendField("cause", divergence.cause_text, text);
  }
  for (const ObservedRead& read : divergence.reads) {
    AppendField("read",
                absl::StrCat(CellName(read.cell.reducer, read.cell.key), " = ",
                             StateText(read.state), OriginText(read)),
                text);
  }
  const std::string calls = full.GuiltyCalls();
  if (!calls.empty()) AppendField("called", calls, text);
}

// A step that acts is named like one that differs.
void AppendAct(const ProbeNote& act, std::string* text) {
  AppendField("event_id", absl::StrCat(act.first.value), text);
  AppendField("reducer", act.reducer, text);
  AppendField("key", act.first_key, text);
  AppendField("called", act.function, text);
}

Json DivergenceJson(const FullReport& full) {
  const Divergence& divergence = *full.report.divergence;
  Json json;
  json["event_id"] = divergence.event_id.value;
  json["round"] = divergence.round.value;
  json["reducer"] = divergence.reducer;
  json["key"] = divergence.key;
  json["field"] = divergence.field;
  json["recorded"] = divergence.recorded;
  json["recomputed"] = divergence.recomputed;
  json["cause"] = divergence.cause_text;
  json["called"] = full.GuiltyCalls();
  json["reads"] = Json::array();
  for (const ObservedRead& read : divergence.reads) {
    Json entry;
    entry["reducer"] = read.cell.reducer;
    entry["key"] = read.cell.key;
    entry["written_by"] = read.written_by.value;
    entry["state"] = read.state ? ToJson(*read.state) : Json();
    json["reads"].push_back(std::move(entry));
  }
  return json;
}

std::string EscapeXml(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {  // control characters have no place in XML 1.0
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
  }
  return absl::StrReplaceAll(
      clean, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string JUnitHead(int errors, int failures, const std::string& world) {
  return absl::StrCat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"reenact verify\" tests=\"1\" errors=\"",
      errors, "\" failures=\"", failures,
      "\">\n  <testcase classname=\"reenact.verify\" name=\"", EscapeXml(world),
      "\">\n");
}

}  // namespace

std::string FullReport::GuiltyCalls() const {
  if (!report.divergence) return {};
  std::vector<std::string> calls;
  for (const ProbeNote& note : probes) {
    if (note.reducer == report.divergence->reducer &&
        note.CalledAt(report.divergence->event_id)) {
      calls.push_back(note.function);
    }
  }
  return absl::StrJoin(calls, ", ");
}

const ProbeNote* FullReport::FirstAct() const {
  const ProbeNote* first = nullptr;
  for (const ProbeNote& note : probes) {
    if (!note.acts) continue;
    if (first == nullptr || note.first < first->first) first = &note;
  }
  return first;
}

Verdict FullReport::verdict() const {
  if (report.verdict == Verdict::kDamaged) return report.verdict;
  const bool guilty =
      report.verdict == Verdict::kDiverged && !GuiltyCalls().empty();
  return guilty || FirstAct() != nullptr ? Verdict::kImpure : report.verdict;
}

ExitCode FullReport::exit_code() const {
  switch (verdict()) {
    case Verdict::kIdentical:
      return ExitCode::kOk;
    case Verdict::kDiverged:
      return ExitCode::kFailed;
    case Verdict::kImpure:
      return ExitCode::kImpure;
    case Verdict::kDamaged:
      return ExitCode::kDamaged;
    case Verdict::kModuleChanged:
      break;
  }
  return allow_module_change ? ExitCode::kOk : ExitCode::kModuleChanged;
}

std::string TextReport(const FullReport& full) {
  const VerifyReport& report = full.report;
  std::string text = absl::StrCat(HeadLine(full), "\n");
  if (report.divergence) {
    AppendDivergence(full, &text);
  } else if (const ProbeNote* const act = full.FirstAct()) {
    AppendAct(*act, &text);
  }
  if (!report.problem.empty()) AppendField("problem", report.problem, &text);
  AppendField("replayed",
              absl::StrCat(WithCommas(report.tickets), " events after event ",
                           report.from.value, ", ", WithCommas(report.blocks),
                           " blocks, ", WithCommas(report.failed_steps),
                           " failed steps"),
              &text);
  if (!report.snapshots_checked.empty()) {
    AppendField("snapshots",
                absl::StrCat(report.snapshots_checked.size(), " checked"),
                &text);
  }
  if (full.exit_code() == ExitCode::kOk ||
      full.verdict() == Verdict::kModuleChanged) {
    AppendField("head", absl::StrCat(report.head.value), &text);
    AppendField("journal", report.journal.ToHex(), &text);
    AppendField("state", report.state.ToHex(), &text);
  }
  for (const std::string& note : report.notes) {
    AppendField("note", note, &text);
  }
  for (const ProbeNote& note : full.probes) {
    AppendField("note", ProbeText(note), &text);
  }
  if (!report.slice_note.empty())
    AppendField("slice", report.slice_note, &text);
  return text;
}

Json JsonReport(const FullReport& full) {
  const VerifyReport& report = full.report;
  Json json;
  json["verdict"] = VerdictName(full.verdict());
  json["exit_code"] = static_cast<int>(full.exit_code());
  json["from"] = report.from.value;
  json["head"] = report.head.value;
  json["blocks"] = report.blocks;
  json["tickets"] = report.tickets;
  json["failed_steps"] = report.failed_steps;
  json["reruns"] = report.reruns;
  json["journal"] = report.journal.ToHex();
  json["state"] = report.state.ToHex();
  json["snapshots_checked"] = Json::array();
  for (const EventId snapshot : report.snapshots_checked) {
    json["snapshots_checked"].push_back(snapshot.value);
  }
  if (report.divergence) json["divergence"] = DivergenceJson(full);
  if (const ProbeNote* const act = full.FirstAct()) {
    json["acted"] = {{"event_id", act->first.value},
                     {"reducer", act->reducer},
                     {"key", act->first_key},
                     {"called", act->function}};
  }
  if (!report.problem.empty()) json["problem"] = report.problem;
  json["notes"] = report.notes;
  for (const ProbeNote& note : full.probes) {
    json["notes"].push_back(ProbeText(note));
  }
  if (!report.slice_note.empty()) json["slice"] = report.slice_note;
  return json;
}

std::string JUnitReport(const FullReport& full, const std::string& world) {
  const bool passed = full.exit_code() == ExitCode::kOk;
  std::string text = JUnitHead(0, passed ? 0 : 1, world);
  if (!passed) {
    absl::StrAppend(&text, "    <failure type=\"",
                    EscapeXml(VerdictName(full.verdict())), "\" message=\"",
                    EscapeXml(HeadLine(full)), "\">",
                    EscapeXml(TextReport(full)), "</failure>\n");
  }
  absl::StrAppend(&text, "    <system-out>", EscapeXml(TextReport(full)),
                  "</system-out>\n  </testcase>\n</testsuite>\n");
  return text;
}

std::string JUnitError(std::string_view why, const std::string& world) {
  const std::string words = EscapeXml(why);
  return absl::StrCat(JUnitHead(1, 0, world),
                      "    <error type=\"no verdict\" message=\"", words, "\">",
                      words, "</error>\n  </testcase>\n</testsuite>\n");
}

}  // namespace reenact::tools
