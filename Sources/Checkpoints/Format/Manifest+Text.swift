import Formats

extension Manifest {
  /// The maximum bytes of a manifest's text; that of a 511M model has about 400 KB.
  public static let largestText = 32 << 20
  static let fileName = "manifest.json"

  /// The manifest's bytes.
  public func text() -> [UInt8] {
    let counters = counters.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    let files = files.map { JSONText.object([("name", JSONText.string($0.name)), ("bytes", "\($0.byteCount)")]) }
    let object = JSONText.object(
      [
        ("format", JSONText.string("quillan-checkpoint")), ("version", "\(Self.version)"),
        ("program", JSONText.string(program)), ("phase", JSONText.string(phase)), ("step", "\(step)"),
        ("ranks", "\(ranks)"), ("expert_parallel", "\(expertParallel)"), ("expert_files", "\(expertFiles)"),
        ("counters", JSONText.object(counters.map { ($0.key, "\($0.value)") })),
        ("configuration", JSONText.string(configuration)), ("files", JSONText.list(files)),
        ("tensors", "[\n\(tensors.map(Self.text).joined(separator: ",\n"))\n]"),
      ], separator: ",\n")
    // The hash takes the place of the opening brace.
    let body = Array(",\n\(object.dropFirst())\n".utf8)
    return Self.signed(body)
  }

  /// A manifest text: its hash, and `body`, which is not checked.
  package static func signed(_ body: [UInt8]) -> [UInt8] { head(hash: body.withUnsafeBytes(Frame.hash)) + body }

  private static func text(_ tensor: Tensor) -> String {
    let slices = tensor.slices.map { slice in
      JSONText.object([
        ("elements", JSONText.list([slice.range.lowerBound, slice.range.upperBound])), ("part", "\(slice.part)"),
        ("file", "\(slice.file)"), ("offset", "\(slice.offset)"), ("bytes", "\(slice.bytes)"),
        ("encoding", JSONText.string(slice.encoding.rawValue)), ("xxh64", JSONText.string(hexadecimal(slice.hash))),
      ])
    }
    return JSONText.object([
      ("name", JSONText.string(tensor.key.name)), ("kind", JSONText.string(tensor.key.kind.rawValue)),
      ("type", JSONText.string(tensor.type.rawValue)), ("shape", JSONText.list(tensor.shape)),
      ("slices", JSONText.list(slices)),
    ])
  }

  /// The first bytes, up to the comma after the hash.
  private static func head(hash: UInt64) -> [UInt8] { Array("{\"xxh64\":\"\(hexadecimal(hash))\"".utf8) }

  private static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Reads and validates a manifest's text (see `validate`).
  ///
  /// Safe on hostile bytes: it never recurses, allocates at most a small multiple of the text, and accepts members only
  /// in their fixed order.
  ///
  /// - Parameter path: the manifest's path, for messages.
  public init(text: [UInt8], path: String) throws(CheckpointError) {
    func damaged(_ code: CheckpointError.Code, _ offset: Int, _ problem: String) -> CheckpointError {
      CheckpointError(code, path: path, offset: offset, problem: problem, remedy: CheckpointError.damaged)
    }
    let head = Self.head(hash: 0).count
    guard text.count > head else {
      throw damaged(.malformedManifest, text.count, "the manifest ends in its first line")
    }
    let hash = text[head...].withUnsafeBytes(Frame.hash)
    guard text[..<head].elementsEqual(Self.head(hash: hash)) else {
      throw damaged(.corrupt, 0, "the manifest's hash does not match its text")
    }
    do {
      self = try text.withUnsafeBytes { try Self.parse($0) }
    } catch let fault as JSONSyntaxError {
      throw damaged(.malformedManifest, fault.position, "malformed manifest: \(fault.problem)")
    } catch {
      throw damaged(.malformedManifest, 0, "malformed manifest: \(error)")
    }
    try validate(path: path)
  }
}
