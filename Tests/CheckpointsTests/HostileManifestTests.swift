import Checkpoints
import Foundation
import Testing

/// Manifests with a correct hash and hostile contents: they are refused at once, before they cost time or memory.
@Suite("Hostile manifests")
struct HostileManifestTests {
  private static let valid: (MemoryFiles, String, Manifest)? = {
    let files = MemoryFiles()
    guard
      let path = try? TinyCheckpoint(seed: 9).save(to: CheckpointStore(path: "c", files: files), step: 1, files: files),
      let reader = try? CheckpointReader(path, files: files)
    else { return nil }
    return (files, path, reader.manifest)
  }()

  private func refusal(_ text: [UInt8]) -> CheckpointError? {
    // The time of this thread only, since other tests run concurrently.
    let start = processorSeconds()
    defer { #expect(processorSeconds() - start < 1) }
    do {
      _ = try Manifest(text: text, path: "manifest.json")
      return nil
    } catch { return error }
  }

  /// The refusal of a changed manifest.
  private func refusal(_ change: (inout Manifest) -> Void) throws -> CheckpointError? {
    var manifest = try #require(Self.valid).2
    change(&manifest)
    return refusal(manifest.text())
  }

  @Test("The writer's text is accepted and gives the same manifest")
  func accepted() throws {
    let manifest = try #require(Self.valid).2
    #expect(try Manifest(text: manifest.text(), path: "m") == manifest)
  }

  @Test("Inconsistent sizes, counts and offsets are refused with the tensor or the file")
  func sizes() throws {
    let manifest = try #require(Self.valid).2
    let first = manifest.tensors[0].key.description
    let slice = manifest.tensors[0].slices[0]
    func check(_ tensor: String?, _ offset: Int? = nil, _ change: (inout Manifest) -> Void) throws {
      let error = try refusal(change)
      #expect(error?.code == .inconsistentLayout && error?.status == .data)
      #expect(
        error?.tensor == tensor && (offset == nil || error?.offset == offset), "\(error?.description ?? "accepted")")
    }
    try check(first) { $0.tensors[0].shape = [Int.max, Int.max] }
    try check(first) { $0.tensors[0].shape = [1 << 40] }
    try check(first) { $0.tensors[0].slices[0].bytes = Int.max }
    try check(first) { $0.tensors[0].slices[0].range = 0..<1 << 62 }
    try check(first) { $0.tensors[0].slices[0].file = 99 }
    try check(first, slice.offset + 1) { $0.tensors[0].slices[0].offset += 1 }
    try check(first, slice.offset - 1) { $0.tensors[0].slices[0].offset -= 1 }
    try check(first) { $0.tensors[0].slices.removeAll() }
    try check(first) { $0.tensors[0].slices.append($0.tensors[0].slices[0]) }
    try check(first) { $0.tensors.append($0.tensors[0]) }
    try check(first) { $0.tensors.insert($0.tensors[0], at: 0) }
    try check(TensorKey("embedding.weight", .policy).description) { $0.tensors.removeFirst(2) }
    try check(nil) { $0.files[0].byteCount = Int.max }
    try check(nil) { $0.files[1].name = $0.files[0].name }
  }

  @Test("A small frame cannot claim a large size")
  func bomb() throws {
    let error = try refusal {
      $0.tensors = [$0.tensors[0]]
      $0.files = [Manifest.File(name: "replicated.qck", byteCount: Shard.header.count + 1000)]
      let count = 1 << 40
      $0.tensors[0].shape = [count]
      $0.tensors[0].slices[0].range = 0..<count
      $0.tensors[0].slices[0].file = 0
      $0.tensors[0].slices[0].offset = Shard.header.count
      $0.tensors[0].slices[0].bytes = 1000
    }
    #expect(error?.code == .inconsistentLayout && error?.problem.hasPrefix("1000 stored bytes") == true)
  }

  @Test(
    "File names that point outside the checkpoint are refused",
    arguments: [
      "../x.qck", "/etc/passwd", "a/b.qck", ".qck", "..", "", "a.qck\u{0}", "A.qck", "x.json", "é.qck",
      String(repeating: "a", count: 100) + ".qck",
    ])
  func traversal(name: String) throws {
    let error = try refusal { $0.files[0].name = name }
    #expect(error?.code == .malformedManifest && error?.problem.hasSuffix("cannot name a file of a checkpoint") == true)
  }

  @Test("Text that is not a manifest is refused at the first wrong byte")
  func text() throws {
    let manifest = try #require(Self.valid).2
    let whole = String(decoding: manifest.text(), as: UTF8.self)
    let body = String(whole.dropFirst("{\"xxh64\":\"0123456789abcdef\"".count))
    func refuse(_ body: String) -> CheckpointError? { refusal(Manifest.signed(Array(body.utf8))) }
    /// Checks that replacing `old` is refused `distance` bytes after the start of `old`.
    func check(_ old: String, _ new: String, at distance: Int) throws {
      let range = try #require(body.range(of: old))
      let error = refuse(body.replacingCharacters(in: range, with: new))
      #expect(error?.code == .malformedManifest && error?.status == .data, "\(new.prefix(40))")
      let offset = whole.utf8.count - body.utf8.count + body[..<range.lowerBound].utf8.count + distance
      #expect(error?.offset == offset, "\(new.prefix(40)): \(error?.description ?? "accepted")")
    }
    #expect(refuse(body) == nil)
    let deep = String(repeating: "[", count: 1_000_000)
    try check("\"format\":", "\"format\":" + deep, at: 9)
    try check("\"shape\":[", "\"shape\":" + deep, at: 9)
    try check("\"shape\":[", "\"shape\":[1,1,1,1,1,1,1,1,1,", at: 25)
    try check("\"version\":1", "\"version\":2", at: 11)
    try check("\"step\":1", "\"step\":-1", at: 7)
    try check("\"step\":1", "\"step\":99999999999999999999", at: 7)
    try check("\"step\":1", "\"step\":1,\"step\":1", at: 9)
    try check("\"kind\":\"master\"", "\"kind\":\"mystery\"", at: 16)
    #expect(refuse(body + "x")?.offset == whole.utf8.count)
    #expect(
      refuse(body + "x")?.description
        == "manifest.json, byte \(whole.utf8.count): malformed manifest: expected the end, found 'x'; "
        + "the checkpoint is damaged; use another one, or copy it again")
    for broken in ["", String(body.dropLast(3))] { #expect(refuse(broken)?.code == .malformedManifest) }
    #expect(refusal([])?.code == .malformedManifest)
    #expect(refusal(Array("null".utf8))?.code == .malformedManifest)
    // Not UTF-8, inside a string.
    #expect(refusal(Manifest.signed(Array(",\"format\":\"".utf8) + [0xFF, 0xFE, 0x22]))?.code == .malformedManifest)
    // Many empty tensors: their cost is bounded by the text.
    let many = (0..<200_000).map {
      "{\"name\":\"t\($0)\",\"kind\":\"master\",\"type\":\"F32\",\"shape\":[0],\"slices\":[]}"
    }
    let start = try #require(body.range(of: "\"tensors\":["))
    #expect(refuse(body[..<start.upperBound] + many.joined(separator: ",") + "]}") != nil)
  }
}

/// Seconds of processor time of this thread.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
