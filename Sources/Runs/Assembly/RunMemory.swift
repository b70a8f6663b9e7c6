import Configuration
import Errors
import Foundation
import Learning
import MPI
import Planning
import Telemetry

/// Rejects a run that needs more memory than a machine has, before the run begins.
public enum RunMemory {
  /// Compares the planned memory of all ranks of a machine with the available memory. Collective.
  ///
  /// - Parameters:
  ///   - promptLength: tokens of the longest known prompt.
  ///   - phase: `.pretrain` or `.train`.
  /// - Throws: `TrainingError`, the same on every rank, if a machine has too little memory.
  public static func check(
    _ configuration: RunConfiguration, promptLength: Int, phase: RunPhase, _ communicator: Communicator
  ) throws {
    let plan = try MemoryPlan(
      configuration, ParameterPlan(configuration.model, configuration.precision), ranks: communicator.size,
      promptLength: max(1, promptLength), phase: phase)
    let machine = try communicator.splitByMachine()
    // The available memory excludes what this rank already holds.
    let planned = (communicator.rank == 0 ? plan.total : plan.total - plan.firstRankBytes)
    let missing = Double(planned) - Double(ProcessMemory.residentBytes ?? MemoryPlan.programBytes)
    let needed = try machine.allReduce(max(0, missing), .sum)
    let space = Double(addressSpace(configuration, ranks: machine.size))
    let free = try machine.allReduce(Double(AvailableMemory.bytes ?? Int.max), .minimum)
    let isAllowed = missing <= space
    let available = isAllowed ? free : space * Double(machine.size)
    let fits = needed <= free && isAllowed
    let worst = try communicator.allReduce(fits ? communicator.size : communicator.rank, .minimum)
    guard worst < communicator.size else { return }
    let figures = try communicator.broadcast([needed, available, Double(machine.size), Double(planned)], from: worst)
    throw TrainingError(
      .failure, isAgreed: true,
      """
      \(phase.rawValue) takes about \(text(figures[3])) per rank; for \(Int(figures[2])) \
      \(figures[2] == 1 ? "rank" : "ranks") on a machine, \(text(figures[0])) is still needed but \(text(figures[1])) \
      is available (free memory, or the limit of a control group or of ulimit); \(remedy(plan, phase)), or use a machine \
      with more memory; 'quillan plan' lists the memory by use
      """)
  }

  /// The address space for the planned memory: what `ulimit -v` still allows, less a stack of 8 MiB and a heap of 64 MiB
  /// that the C library reserves for each thread. An allocation beyond the limit aborts the process without a message.
  private static func addressSpace(_ configuration: RunConfiguration, ranks: Int) -> Int {
    guard let space = AvailableMemory.addressSpace else { return .max }
    let cores = max(1, ProcessInfo.processInfo.activeProcessorCount / ranks)
    let threads = configuration.parallel.threads > 0 ? configuration.parallel.threads : cores
    return max(0, space - (threads + 1) * (72 << 20))
  }

  private static func text(_ bytes: Double) -> String { FigureText.bytes(Int(min(bytes, 1e18))) }

  /// The settings that reduce the largest use.
  private static func remedy(_ plan: MemoryPlan, _ phase: RunPhase) -> String {
    switch plan.rows.max(by: { $0.bytes < $1.bytes })?.use {
    case .activations: "raise rl.accumulation_steps, set rl.gradient_checkpointing or shorten the sequences"
    case .sampling where phase == .train: "lower rl.batch_size, rl.mini_batches or rl.max_trajectory_len"
    case .sampling: "lower evaluation.count or rl.max_trajectory_len"
    default: "set optimizer.state: int8 or checkpoint.copy: false, or make the model smaller"
    }
  }
}
