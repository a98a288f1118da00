// What every use of oneDNN shares: one engine and stream, scratch memory, and primitives that are made once per shape.
#pragma once

#include <array>
#include <cstdint>
#include <dnnl.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace nodule::tensor {

const dnnl::engine& OnednnEngine();

/// oneDNN takes its scratch memory from the plan.
dnnl::primitive_attr PlanAttributes();

/// A row-major or tagged descriptor.
dnnl::memory::desc Desc(const dnnl::memory::dims& dims, dnnl::memory::format_tag tag,
                        dnnl::memory::data_type type = dnnl::memory::data_type::f32);

/// A primitive with its operands, ready to run on raw pointers. An operand that the primitive wants in another layout or
/// type than ours is reordered before (or, an output, after) into memory that all plans share.
class Plan {
 public:
  Plan(dnnl::primitive primitive, const dnnl::memory::desc& scratch, std::string description,
       bool slow = false);

  /// The next operand: oneDNN's number for it, how we have it, how the primitive wants it.
  void Add(int argument, const dnnl::memory::desc& user, const dnnl::memory::desc& inner,
           bool output);

  /// @param pointers of the operands, in the order of Add; aligned as float.
  void Run(const std::array<const float*, 4>& pointers);

  std::string Describe() const;

  // What follows is for who runs one plan on several threads at once; operands by their number in the order of Add.

  /// The primitive alone, its operands as it wants them; `scratch` has ScratchBytes().
  void Execute(void* const* inner, uint8_t* scratch) const;
  /// Whether the primitive wants this operand in another layout than ours.
  bool IsReordered(int operand) const { return operands_[operand].reordered; }
  dnnl::memory::desc InnerDesc(int operand) const;
  /// Between our layout and the primitive's: towards the primitive, or back where the operand is an output.
  void Reorder(int operand, void* user, void* inner) const;
  size_t ScratchBytes() const { return scratch_ ? scratch_.get_desc().get_size() : 0; }
  /// Whether oneDNN has only its reference for this, or a plain matrix product.
  bool IsSlow() const { return slow_; }

 private:
  struct Operand {
    dnnl::memory user, inner;
    dnnl::reorder reorder;
    int argument;
    bool reordered, output;
    size_t offset;  // of the reordered copy in the arena
  };

  dnnl::primitive primitive_;
  std::string description_;
  bool slow_;
  std::vector<Operand> operands_;
  std::unordered_map<int, dnnl::memory> arguments_;
  dnnl::memory scratch_;
  size_t arena_bytes_ = 0;
};

/// The plan of a key (what it is, shapes) for all threads; `make` is called where there is none yet. The number of
/// threads and the number format belong to the key: they are added here.
using PlanKey = std::array<int64_t, 18>;
Plan& FindPlan(const PlanKey& key, const std::function<std::unique_ptr<Plan>()>& make);
/// The same for one thread: such a plan may run on several at once.
Plan& FindSerialPlan(const PlanKey& key, const std::function<std::unique_ptr<Plan>()>& make);
/// Makes sure that so many more plans can be found without any of them being dropped.
void MakeRoomForPlans(size_t count);

/// At least so many bytes that all plans share, aligned as a page; whoever calls next may take them.
uint8_t* ReserveArena(size_t bytes);

/// First numbers of keys.
enum PlanKind : int64_t { kPlanForward, kPlanBackwardData, kPlanBackwardFilter, kPlanProduct };

/// Computes in bfloat16 inside convolutions and matrix products where the CPU does (inputs and outputs stay float32).
/// Returns whether it is on.
bool SetBfloat16(bool on);
bool Bfloat16();
bool HasBfloat16();
/// bf16 when that is on, else f32.
dnnl::memory::data_type ComputeType();

/// oneDNN's version, for people.
std::string OnednnVersion();
/// One line for every primitive created so far: kind, shape, implementation.
std::string DescribePrimitives();

}  // namespace nodule::tensor
