// How much of a pool a world uses: whether steps are handed to other threads,
// to how many of them, and how many tickets are in flight. What pays depends on
// the machine, on what else runs there and on the load, so it is measured:
// settings take turns, briefly, and the one that gets more tickets through per
// second of wall time stays.
//
//   Throttle throttle(workers, window);
//   throttle.Begin({now, ...});                         // there is work
//   if (throttle.IsDue(committed, cost)) throttle.Turn({now, ...});
//   ... throttle.threads(), throttle.in_flight() ...
//   throttle.Pause({now, ...});                         // there is none
//
// Pure values: no thread, no lock, no clock. They decide nothing that is
// recorded.

#ifndef REENACT_WORKERS_THROTTLE_H_
#define REENACT_WORKERS_THROTTLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace reenact {

// Finds the fastest of a few arms while it uses them. The best one is in force;
// now and then another one, the challenger, takes turns with it for a few
// milliseconds, and replaces it if it got through enough more. A challenger
// that lost waits twice as long as the last time before it comes back, and is
// then tried for twice as long: what a trial can lose stays a small part, and
// what it says is worth more, whatever else disturbs the measurement. So is one
// that won by chance, since who was replaced is asked again soon.
//
// Arms are in order of what they take of the machine.
class Contest {
 public:
  // How fast a challenger has to be, in percent of the best arm's speed, if it
  // takes more of the machine, and if it takes less.
  struct Needs {
    std::uint64_t more = 100;
    std::uint64_t less = 100;
  };

  // With an arm in force as much as `settle_tickets` does not count at first:
  // tickets in flight were handled with the arm before. REQUIRES: first < arms.
  Contest(std::size_t arms, std::size_t first, Needs needs,
          std::uint64_t settle_tickets);

  // The arm in force.
  std::size_t arm() const { return challenging_ ? trial_->arm : best_; }
  std::size_t best() const { return best_; }
  // Whether a challenger and the best arm are taking turns.
  bool trying() const { return trial_.has_value(); }

  // What was done with the arm in force.
  struct Sample {
    std::uint64_t tickets = 0;  // committed
    std::uint64_t ns = 0;       // of wall time, with work to do
    std::uint64_t rounds = 0;   // begun
  };

  // arm() may be another one afterwards.
  void Observe(const Sample& more);

  // The load has become another one: `arm` is the best guess. Those that take
  // less of the machine may challenge it as soon as its speed is known, those
  // that take more after a pause, so that a load of a few milliseconds does not
  // pay for trials that it cannot gain from.
  void Restart(std::size_t arm);

 private:
  // A stretch that is held against another one.
  struct Stretch : Sample {
    void Add(const Sample& more) {
      tickets += more.tickets;
      ns += more.ns;
      rounds += more.rounds;
    }
    // Whether it is long enough: this long, of tickets and rounds enough.
    bool IsWhole(std::uint64_t wanted_ns) const;
    // Whether it is long enough to be given up.
    bool IsGlance() const;
    // Whether its speed is at least `percent` of that of `other`.
    bool Reaches(std::uint64_t percent, const Stretch& other) const;
  };
  struct Trial {
    std::size_t arm = 0;
    std::uint64_t epoch_ns = 0;  // how long a turn of either is
    int turns = 0;               // of the challenger, that are over
    Stretch best;                // before each of them
    Stretch challenger;
  };
  struct Arm {
    std::uint64_t due_ns = 0;  // when it may challenge
    std::uint64_t pause_ns = 0;
  };

  std::uint64_t EpochNs() const;
  std::uint64_t LongEpoch() const;
  std::uint64_t LeastPause() const;
  std::uint64_t Needed(std::size_t arm) const {
    return arm > best_ ? needs_.more : needs_.less;
  }
  // Whether the speeds of the two are within a factor of percent / 100.
  static bool Alike(std::uint64_t percent, const Stretch& a, const Stretch& b) {
    return a.Reaches(10'000 / percent, b) && b.Reaches(10'000 / percent, a);
  }
  void Note(const Stretch& epoch);
  void EndEpochOfBest();
  void EndEpochOfChallenger();
  void Challenge();
  void Won();
  void Lost();
  void PutOff(std::size_t arm);
  void AskSooner();
  void Switch(bool challenging);

  bool Settles(const Sample& more);

  const Needs needs_;
  const std::uint64_t settle_tickets_;
  std::vector<Arm> arms_;
  std::size_t best_;
  bool challenging_ = false;  // the challenger is in force
  std::optional<Trial> trial_;
  std::uint64_t now_ns_ = 0;  // the sum of what was observed
  std::uint64_t won_ns_ = 0;  // when the best arm became it
  std::optional<Stretch> unsettled_ = Stretch{};  // since a change of arms
  Stretch epoch_;  // of the arm in force, since it has settled
  Stretch usual_;  // of the best arm: of its last epochs
  int odd_ = 0;    // epochs of the best arm in a row that were not like that
};

// Thread safety: none; it belongs to the ordered role.
class Throttle {
 public:
  // What has been seen so far.
  struct Seen {
    std::uint64_t now_ns = 0;
    std::uint64_t committed = 0;  // tickets
    std::uint64_t reruns = 0;     // steps that ran again, of them
    std::uint64_t rounds = 0;     // that were begun
    std::uint64_t step_ns = 0;    // what a step costs lately; 0: not known
  };

  // Of a pool of `workers` threads, with at most `window` tickets in flight.
  // One thread runs steps until it is known what they cost. REQUIRES: workers >
  // 0, window > 0.
  Throttle(std::size_t workers, std::size_t window);

  // How many threads run steps; 1: the ordered role does, in ticket order.
  std::size_t threads() const { return threads_[crew_.arm()]; }
  std::size_t in_flight() const { return in_flight_[ahead_.arm()]; }

  // From `now_ns` on there is work; and there was until now, but none is left.
  void Begin(const Seen& seen) { last_ = seen; }
  void Pause(const Seen& seen) { Turn(seen); }

  // Whether Turn() would learn something; cheap.
  bool IsDue(std::uint64_t committed, std::uint64_t step_ns) const;
  // Learns. After a change of threads() what a step costs is to be measured
  // afresh: it includes what handing it over costs.
  void Turn(const Seen& seen);

 private:
  std::size_t Guess(std::uint64_t step_ns) const;
  bool IsOtherCost(std::uint64_t step_ns) const;
  bool HasChanged(std::uint64_t step_ns, std::uint64_t ns);

  std::vector<std::size_t> threads_;    // by arm of crew_
  std::vector<std::size_t> in_flight_;  // by arm of ahead_
  Contest crew_;
  Contest ahead_;
  Seen last_;
  bool guessed_ = false;             // what a step costs was known once
  std::uint64_t usual_step_ns_ = 0;  // with so many threads; 0: not known yet
  std::uint64_t other_cost_ns_ = 0;  // for how long they have cost otherwise
};

}  // namespace reenact

#endif  // REENACT_WORKERS_THROTTLE_H_
