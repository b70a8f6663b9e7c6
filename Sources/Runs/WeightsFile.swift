import Checkpoints
import Formats
import Foundation
import Learning
import Models
import MPI
import Parallelism
import Parameters
import Telemetry
import Tensors

/// Masters as a safetensors file: every parameter and balance bias under its name, in fp32.
public enum WeightsFile {
  /// Reads the tensors `held` of `model`, or all. The file must contain exactly the tensors of the model, so that none
  /// is silently lost.
  ///
  /// - Throws: `SafetensorsError` naming the tensor that is missing, extra, or of another shape or type.
  public static func load(
    _ file: SafetensorsFile, for model: QuillanModel, holding held: [ParameterID]? = nil
  ) throws(SafetensorsError) -> ParameterStore {
    let store = ParameterStore(model.table, holding: held ?? model.table.ids)
    for id in model.table.ids {
      let specification = model.table[id]
      let entry = try file.entry(specification.name)
      guard entry.shape == specification.shape else {
        throw SafetensorsError(
          code: .mismatch, path: file.path, tensor: specification.name,
          problem: "has shape \(entry.shape), the model expects \(specification.shape)",
          remedy: "use the configuration that these weights were trained with")
      }
      guard store.holds(id) else { continue }
      let values = try file.floats(specification.name)
      store.pointer(id).update(from: values, count: values.count)
      if let index = values.firstIndex(where: { !$0.isFinite }) {
        throw SafetensorsError(
          code: .inconsistentLayout, path: file.path, tensor: specification.name,
          problem: "element \(index) is \(values[index])", remedy: "use weights from before the run diverged")
      }
    }
    for name in file.tensors.keys.sorted() where model.table.id(name) == nil {
      throw SafetensorsError(
        code: .mismatch, path: file.path, tensor: name, problem: "is not a parameter of this model",
        remedy: "use the configuration that these weights were trained with")
    }
    return store
  }

  /// Reads the masters `held` from a checkpoint. Local.
  ///
  /// - Throws: `CheckpointError` naming the tensor that is missing, damaged, of another shape, or not in the model.
  public static func load(
    _ reader: CheckpointReader, for model: QuillanModel, holding held: [ParameterID], threads: Int
  ) throws -> ParameterStore {
    let store = ParameterStore(model.table, holding: held)
    try reader.read(store.pieces(.master), threads: threads)
    let names = reader.manifest.tensors.filter { $0.key.kind == .master }.map(\.key.name)
    if let surplus = names.first(where: { model.table.id($0) == nil }) {
      throw CheckpointError(
        .mismatch, path: reader.path, tensor: surplus, problem: "is not a parameter of this model",
        remedy: "use the configuration that these weights were trained with")
    }
    return store
  }

  /// Writes the masters of all ranks, atomically, on rank 0; the other ranks of its expert group send the masters that
  /// rank 0 does not hold. Collective: returns when the file is complete. The ranks wait outside of blocking
  /// collectives, so that the watchdog does not report a slow disk as a hang.
  ///
  /// - Parameter path: the file; only rank 0 uses it.
  public static func save(_ learner: Learner, to path: String?, metadata: [String: String] = [:]) throws {
    FlightRecorder.begin(ActivityLabel("weights file"))
    defer { FlightRecorder.end() }
    try write(learner, to: path, metadata)
    try waitForAll(learner.communicator)
  }

  /// A non-blocking barrier that each rank polls.
  private static func waitForAll(_ communicator: Communicator) throws(MPIError) {
    var barrier = try communicator.iBarrier()
    var pause = 0.001
    while !(try barrier.test()) {
      Thread.sleep(forTimeInterval: pause)
      pause = min(2 * pause, 0.1)
    }
    try barrier.wait()
  }

  private static func write(_ learner: Learner, to path: String?, _ metadata: [String: String]) throws {
    let masters = learner.masters
    let table = masters.table
    let group = learner.topology.expertGroup
    guard learner.communicator.rank == 0, let path else {
      // Both ranks use the order of names, so the messages arrive in the order of the file.
      guard learner.topology.dataGroup.rank == 0 else { return }
      for id in masters.held where table[id].miniMoE != nil {
        try group.send(UnsafeBufferPointer(masters.values(id)), to: 0, tag: 0)
      }
      return
    }
    let tensors = table.ids.map { id in
      SafetensorsTensor(name: table[id].name, dataType: .float32, shape: table[id].shape) { sink in
        guard let owner = learner.topology.ownership.owner(of: table[id]), owner != group.rank else {
          return try sink(UnsafeRawBufferPointer(masters.values(id)))
        }
        var buffer = TransferBuffer<Float>(count: table[id].count)
        try buffer.withUnsafeMutableElements { _ = try group.receive($0, from: owner, tag: 0) }
        try buffer.withUnsafeElements { try sink(UnsafeRawBufferPointer($0)) }
      }
    }
    try SafetensorsWriter.write(path: path, tensors: tensors, metadata: metadata)
  }
}
