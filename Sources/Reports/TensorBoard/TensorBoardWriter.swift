import Files
import Foundation
import SwiftProtobuf

/// Writes one TensorBoard event file, `events.out.tfevents.<seconds>.<host>.<process>.<number>`.
///
/// Records are TFRecords of `Event` messages. They are buffered until they reach 64 KiB or `flush` is called; call `flush`
/// before releasing the writer. Only one rank writes. The type is not thread-safe.
public final class TensorBoardWriter {
  /// The event file.
  public let file: URL
  private let handle: FileHandle
  private let clock: () -> Double
  private var buffer: [UInt8] = []
  private static let bufferLimit = 1 << 16

  /// Starts a new event file in a directory, which is created if necessary.
  ///
  /// - Parameters:
  ///   - resumedAt: the first step that a resumed run computes again; TensorBoard then ignores events of earlier files from
  ///     this step on.
  ///   - clock: seconds since 1970.
  public init(
    directory: URL, resumedAt step: Int64? = nil, clock: @escaping () -> Double = { Date().timeIntervalSince1970 }
  ) throws(TensorBoardError) {
    self.clock = clock
    let process = ProcessInfo.processInfo
    // The host name must not contain a path separator.
    let host = process.hostName.replacingOccurrences(of: "/", with: "_")
    let stem = "events.out.tfevents.\(String(format: "%010d", Int(clock()))).\(host).\(process.processIdentifier)"
    do {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
      let (name, descriptor) = try Self.create(stem, in: DirectoryHandle(directory.path))
      file = directory.appendingPathComponent(name)
      handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    } catch let fault as FileFault {
      throw TensorBoardError(
        file: directory.relativePath, problem: "cannot create an event file: \(fault.problem)",
        remedy: "check the path, its permissions and the free space", cause: fault)
    } catch {
      throw TensorBoardError(
        file: directory.relativePath, problem: "cannot create an event file (\(error.localizedDescription))",
        remedy: "check the path, its permissions and the free space", cause: error)
    }
    var version = event(step: 0)
    version.fileVersion = "brain.Event:2"
    try append(version)
    if let step {
      var start = event(step: step)
      start.sessionLog.status = .start
      try append(start)
    }
    try flush()
  }

  /// Creates a file with the first free number.
  private static func create(_ stem: String, in directory: DirectoryHandle) throws(FileFault) -> (String, Int32) {
    var number = 0
    while true {
      let name = "\(stem).\(number)"
      do { return (name, try directory.createFile(name)) } catch {
        guard error.number == EEXIST else { throw error }
        number += 1
      }
    }
  }

  /// Adds a number to the curve of a tag, in single precision.
  public func scalar(_ tag: String, value: Double, step: Int64) throws(TensorBoardError) {
    var summary = TensorBoardSummary.Value()
    summary.tag = tag
    summary.simpleValue = Float(value)
    try append(summary, step: step)
  }

  /// Adds the histogram of the finite values, if there are any.
  public func histogram(_ tag: String, values: [Double], step: Int64) throws(TensorBoardError) {
    guard let histogram = HistogramBuckets.histogram(values) else { return }
    var summary = TensorBoardSummary.Value()
    summary.tag = tag
    summary.histo = histogram
    try append(summary, step: step)
  }

  /// Adds a text, which TensorBoard shows as Markdown.
  public func text(_ tag: String, _ text: String, step: Int64) throws(TensorBoardError) {
    var summary = TensorBoardSummary.Value()
    summary.tag = tag
    summary.metadata.pluginData.pluginName = "text"
    summary.metadata.dataClass = .tensor
    summary.tensor.dtype = .dtString
    summary.tensor.tensorShape = TensorBoardTensorShapeProto()
    summary.tensor.stringVal = [Data(text.utf8)]
    try append(summary, step: step)
  }

  /// Writes all buffered records.
  public func flush() throws(TensorBoardError) {
    do {
      try handle.write(contentsOf: buffer)
    } catch {
      throw fault("cannot be written (\(error.localizedDescription))", remedy: "check the free space", error)
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private func event(step: Int64) -> TensorBoardEvent {
    var event = TensorBoardEvent()
    event.wallTime = clock()
    event.step = step
    return event
  }

  private func append(_ value: TensorBoardSummary.Value, step: Int64) throws(TensorBoardError) {
    var event = event(step: step)
    event.summary.value = [value]
    try append(event)
  }

  private func append(_ event: TensorBoardEvent) throws(TensorBoardError) {
    do {
      let data: [UInt8] = try event.serializedBytes()
      buffer += RecordFraming.record(data)
    } catch {
      throw fault("an event cannot be serialised (\(error))", remedy: "report the tag and its values", error)
    }
    if buffer.count >= Self.bufferLimit { try flush() }
  }

  private func fault(_ problem: String, remedy: String, _ cause: any Error) -> TensorBoardError {
    TensorBoardError(file: file.relativePath, problem: problem, remedy: remedy, cause: cause)
  }
}
