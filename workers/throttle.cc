#include "reenact/workers/throttle.h"

#include <algorithm>
#include <utility>

#include "reenact/base/check.h"

namespace reenact {

namespace {

// Long against a look at the clock, a thread that wakes and a window that
// drains; so many tickets that one more or less is no difference.
constexpr std::uint64_t kEpochNs = 2'000'000;
constexpr std::uint64_t kEpochTickets = 32;
// A round is admitted and written in one go, during which little is committed:
// fewer rounds than this say nothing, unless they take so long.
constexpr std::uint64_t kEpochRounds = 2;
constexpr std::uint64_t kLongRoundsNs = 50'000'000;
// After a change of arms threads wake, caches fill, and tickets are issued: for
// this long at least, then until as many as were in flight are committed, but
// no longer than the second figure.
constexpr std::uint64_t kSettleNs = 300'000;
constexpr std::uint64_t kSettleMaxNs = 2'000'000;
// A challenger that is hopeless after this much is not tried to the end.
constexpr std::uint64_t kGlanceNs = 500'000;
constexpr std::uint64_t kGlanceTickets = 8;
constexpr std::uint64_t kGlanceRounds = 1;
constexpr std::uint64_t kLongGlanceNs = 6'000'000;
constexpr std::uint64_t kHopelessPercent = 70;
// A challenger has to win by all of so many turns together, so that one in
// which somebody else had the processor decides nothing.
constexpr int kTurns = 3;
// Below what it needs by more than this after a turn, it has lost; above it by
// more than the second figure it has won, if it takes less of the machine.
constexpr std::uint64_t kSlackPercent = 8;
constexpr std::uint64_t kClearPercent = 50;
// Epochs before a challenger that lost comes back, at first and at most, and
// how much of that time each turn of its next trial takes, unless an epoch is
// longer.
constexpr std::uint64_t kPauseEpochs = 32;
constexpr std::uint64_t kPauseMaxNs = 4'000'000'000;
constexpr std::uint64_t kTurnPart = 64;
// One that was the best for so many times what it had waited was it rightly.
constexpr std::uint64_t kReign = 8;
// So many epochs in a row that differ by more are another load, or another
// neighbour: then those who lost are asked after this part of the time that
// they would have to wait.
constexpr std::uint64_t kOddPercent = 150;
constexpr int kOddEpochs = 4;
constexpr std::uint64_t kSooner = 8;
// The usual speed is that of so many epochs at most, the slow ones among them:
// more than the time slices in which a scheduler shares out a processor.
constexpr std::uint64_t kUsualEpochs = 32;

// More threads have to bring a tenth; what brings less than a twentieth is left
// to whoever else has work for a processor. Between the two, what is stays.
constexpr Contest::Needs kThreadsNeed{110, 95};
// A window takes nothing from others: what is faster than noise is taken.
constexpr Contest::Needs kInFlightNeeds{103, 103};
// It is asked about where at least so many steps run again.
constexpr std::uint64_t kRerunPercent = 2;
// In flight for each thread, at least: it needs a claim and one to follow.
constexpr std::size_t kInFlightPerThread = 16;
// The guess before anything is measured: a step that takes less than handing it
// over does on any machine is not handed over. Measuring corrects it.
constexpr std::uint64_t kGuessNs = 1'000;
// Steps that cost so many times what they did, for so long, are another load;
// for less than that, dear steps among cheap ones.
constexpr std::uint64_t kOtherCost = 8;
constexpr std::uint64_t kOtherCostNs = 5'000'000;
// Between two looks: work that takes about so long.
constexpr std::uint64_t kLookNs = 50'000;
constexpr std::uint64_t kTicketNs = 500;  // what a ticket takes beside its step

std::vector<std::size_t> Doubling(std::size_t from, std::size_t to) {
  std::vector<std::size_t> values;
  for (; from < to; from *= 2) values.push_back(from);
  values.push_back(to);
  return values;
}

}  // namespace

// --- Contest -----------------------------------------------------------------

bool Contest::Stretch::IsWhole(std::uint64_t wanted_ns) const {
  return ns >= wanted_ns && tickets >= kEpochTickets &&
         (rounds >= kEpochRounds || ns >= kLongRoundsNs);
}

bool Contest::Stretch::IsGlance() const {
  return ns >= kGlanceNs && tickets >= kGlanceTickets &&
         (rounds >= kGlanceRounds || ns >= kLongGlanceNs);
}

bool Contest::Stretch::Reaches(std::uint64_t percent,
                               const Stretch& other) const {
  return static_cast<double>(tickets) * static_cast<double>(other.ns) * 100 >=
         static_cast<double>(other.tickets) * static_cast<double>(ns) *
             static_cast<double>(percent);
}

Contest::Contest(std::size_t arms, std::size_t first, Needs needs,
                 std::uint64_t settle_tickets)
    : needs_(needs),
      settle_tickets_(settle_tickets),
      arms_(arms),
      best_(first) {
  REENACT_CHECK(first < arms);
}

std::uint64_t Contest::EpochNs() const {
  return trial_ ? trial_->epoch_ns : kEpochNs;
}

// Whether the arm in force is not yet what it will be.
bool Contest::Settles(const Sample& more) {
  if (!unsettled_) return false;
  unsettled_->Add(more);
  if (unsettled_->ns >= kSettleMaxNs ||
      (unsettled_->ns >= kSettleNs && unsettled_->tickets >= settle_tickets_)) {
    unsettled_.reset();
  }
  return true;
}

void Contest::Observe(const Sample& more) {
  now_ns_ += more.ns;
  if (Settles(more)) return;
  epoch_.Add(more);
  if (challenging_) {
    if (epoch_.IsGlance() && !epoch_.Reaches(kHopelessPercent, usual_)) {
      return Lost();
    }
    if (epoch_.IsWhole(EpochNs())) EndEpochOfChallenger();
  } else if (epoch_.IsWhole(EpochNs())) {
    EndEpochOfBest();
  }
}

// Learns how fast the best arm is, and whether that has become another speed.
void Contest::Note(const Stretch& epoch) {
  const bool odd = usual_.tickets > 0 && !Alike(kOddPercent, epoch, usual_);
  odd_ = odd ? odd_ + 1 : 0;
  if (odd_ < kOddEpochs) {
    usual_.Add(epoch);
    if (usual_.ns <= kUsualEpochs * LongEpoch()) return;
    usual_.tickets /= 2;
    usual_.ns /= 2;
    return;
  }
  trial_.reset();
  usual_ = epoch;
  odd_ = 0;
  AskSooner();
}

void Contest::AskSooner() {
  for (Arm& arm : arms_) {
    const std::uint64_t wait = std::max(LeastPause(), arm.pause_ns / kSooner);
    arm.due_ns = std::min(arm.due_ns, now_ns_ + wait);
  }
}

void Contest::EndEpochOfBest() {
  const Stretch epoch = std::exchange(epoch_, {});
  Note(epoch);
  if (!trial_) Challenge();
  if (!trial_) return;
  trial_->best.Add(epoch);
  Switch(true);
}

void Contest::EndEpochOfChallenger() {
  trial_->challenger.Add(std::exchange(epoch_, {}));
  const std::uint64_t needed = Needed(trial_->arm);
  ++trial_->turns;
  if (!trial_->challenger.Reaches(needed - kSlackPercent, trial_->best)) {
    return Lost();
  }
  const bool clear =
      trial_->arm < best_ &&
      trial_->challenger.Reaches(needed + kClearPercent, trial_->best);
  if (trial_->turns < kTurns && !clear) return Switch(false);
  if (trial_->challenger.Reaches(needed, trial_->best)) {
    Won();
  } else {
    Lost();
  }
}

// Starts a trial of the arm that has waited longest, if one is due.
void Contest::Challenge() {
  std::optional<std::size_t> next;
  for (std::size_t arm = 0; arm < arms_.size(); ++arm) {
    if (arm == best_ || arms_[arm].due_ns > now_ns_) continue;
    if (!next || arms_[arm].due_ns < arms_[*next].due_ns) next = arm;
  }
  if (!next) return;
  const std::uint64_t turn = arms_[*next].pause_ns / kTurnPart;
  trial_.emplace(Trial{*next, std::max(kEpochNs, turn), 0, {}, {}});
}

void Contest::Won() {
  const std::size_t before = std::exchange(best_, trial_->arm);
  // What was the best for a short time only had won by chance, and waits on.
  const std::uint64_t reign = now_ns_ - std::exchange(won_ns_, now_ns_);
  if (reign > kReign * arms_[before].pause_ns) arms_[before].pause_ns = 0;
  usual_ = trial_->challenger;
  odd_ = 0;
  PutOff(before);
  trial_.reset();
  challenging_ = false;  // the arm in force stays
}

void Contest::Lost() {
  PutOff(trial_->arm);
  trial_.reset();
  Switch(false);
}

// An epoch, where steps or rounds are so long that they decide how long it is.
std::uint64_t Contest::LongEpoch() const {
  const std::uint64_t tickets = std::max<std::uint64_t>(usual_.tickets, 1);
  const std::uint64_t rounds = std::max<std::uint64_t>(usual_.rounds, 1);
  return std::max({kEpochNs, kEpochTickets * usual_.ns / tickets,
                   std::min(kEpochRounds * usual_.ns / rounds, kLongRoundsNs)});
}

std::uint64_t Contest::LeastPause() const { return kPauseEpochs * LongEpoch(); }

void Contest::PutOff(std::size_t arm) {
  Arm& put_off = arms_[arm];
  put_off.pause_ns =
      std::max(LeastPause(), std::min(2 * put_off.pause_ns, kPauseMaxNs));
  put_off.due_ns = now_ns_ + put_off.pause_ns;
}

void Contest::Switch(bool challenging) {
  challenging_ = challenging;
  epoch_ = {};
  unsettled_.emplace();
}

void Contest::Restart(std::size_t arm) {
  usual_ = {};
  for (std::size_t other = 0; other < arms_.size(); ++other) {
    arms_[other] = {now_ns_ + (other > arm ? LeastPause() : 0), 0};
  }
  trial_.reset();
  best_ = arm;
  won_ns_ = now_ns_;
  odd_ = 0;
  Switch(false);
}

// --- Throttle ----------------------------------------------------------------

Throttle::Throttle(std::size_t workers, std::size_t window)
    : threads_(Doubling(1, workers)),
      in_flight_(
          Doubling(std::min(window, kInFlightPerThread * workers), window)),
      crew_(threads_.size(), 0, kThreadsNeed, window),
      ahead_(in_flight_.size(), in_flight_.size() - 1, kInFlightNeeds, window) {
}

std::size_t Throttle::Guess(std::uint64_t step_ns) const {
  return step_ns < kGuessNs ? 0 : threads_.size() - 1;
}

bool Throttle::IsDue(std::uint64_t committed, std::uint64_t step_ns) const {
  return (committed - last_.committed) * (step_ns + kTicketNs) >= kLookNs;
}

bool Throttle::IsOtherCost(std::uint64_t step_ns) const {
  return step_ns * kOtherCost <= usual_step_ns_ ||
         (step_ns >= kOtherCost * usual_step_ns_ && step_ns >= kGuessNs);
}

// Whether steps have come to cost so much more, or less, than with as many
// threads before that their number has to be chosen anew.
bool Throttle::HasChanged(std::uint64_t step_ns, std::uint64_t ns) {
  if (step_ns == 0) return false;
  if (usual_step_ns_ == 0) return !guessed_;
  other_cost_ns_ = IsOtherCost(step_ns) ? other_cost_ns_ + ns : 0;
  return other_cost_ns_ >= kOtherCostNs;
}

void Throttle::Turn(const Seen& seen) {
  const Contest::Sample more = {seen.committed - last_.committed,
                                seen.now_ns - last_.now_ns,
                                seen.rounds - last_.rounds};
  const std::uint64_t reruns = seen.reruns - last_.reruns;
  const std::size_t threads_before = threads();
  last_ = seen;
  if (HasChanged(seen.step_ns, more.ns)) {
    guessed_ = true;
    other_cost_ns_ = 0;
    crew_.Restart(Guess(seen.step_ns));
    ahead_.Restart(in_flight_.size() - 1);
    usual_step_ns_ = threads() == threads_before ? seen.step_ns : 0;
    return;
  }
  // One at a time, or they would measure each other. Whether more threads pay
  // is asked with as many tickets in flight as suit them.
  if (threads() > 1 && !crew_.trying() &&
      (ahead_.trying() || reruns * 100 >= more.tickets * kRerunPercent ||
       ahead_.best() + 1 < in_flight_.size())) {
    ahead_.Observe(more);
  }
  if (!ahead_.trying()) crew_.Observe(more);
  if (threads() != threads_before) {
    usual_step_ns_ = 0;
  } else if (usual_step_ns_ == 0 && guessed_) {
    usual_step_ns_ = seen.step_ns;
  }
}

}  // namespace reenact
