// Queues that allocate nothing.

#ifndef REENACT_SEQUENCER_INTRUSIVE_LIST_H_
#define REENACT_SEQUENCER_INTRUSIVE_LIST_H_

namespace reenact {

// A list threaded through its elements: nothing is allocated, and an element
// leaves from anywhere in constant time.
template <typename T, T* T::*kPrevious, T* T::*kNext>
class IntrusiveList {
 public:
  bool empty() const { return front_ == nullptr; }
  T* front() const { return front_; }

  void PushBack(T* element) {
    element->*kPrevious = back_;
    element->*kNext = nullptr;
    (back_ == nullptr ? front_ : back_->*kNext) = element;
    back_ = element;
  }

  void Remove(T* element) {
    T* const previous = element->*kPrevious;
    T* const next = element->*kNext;
    (previous == nullptr ? front_ : previous->*kNext) = next;
    (next == nullptr ? back_ : next->*kPrevious) = previous;
  }

  // Moves all of `other` behind what is here.
  void Append(IntrusiveList* other) {
    if (other->empty()) return;
    other->front_->*kPrevious = back_;
    (back_ == nullptr ? front_ : back_->*kNext) = other->front_;
    back_ = other->back_;
    *other = IntrusiveList();
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
};

}  // namespace reenact

#endif  // REENACT_SEQUENCER_INTRUSIVE_LIST_H_
