import Checkpoints
import Foundation
import Testing

/// Manifests made to hurt, their hash in order: refused at once, by what they say and not by what they make us do.
@Suite struct HostileManifestTests {
  private static let valid: (MemoryFiles, String, Manifest)? = {
    let files = MemoryFiles()
    guard
      let path = try? TinyCheckpoint(seed: 9).save(to: CheckpointStore(path: "c", files: files), step: 1, files: files),
      let reader = try? CheckpointReader(path, files: files)
    else { return nil }
    return (files, path, reader.manifest)
  }()

  /// A manifest's text with a hash that fits it.
  private func signed(_ body: [UInt8]) -> [UInt8] {
    Manifest.signed(body)
  }

  private func refusal(_ text: [UInt8]) -> CheckpointError? {
    // Of this thread alone: other tests run beside this one.
    let start = processorSeconds()
    defer { #expect(processorSeconds() - start < 1) }
    do {
      _ = try Manifest(text: text, path: "manifest.json")
      return nil
    } catch { return error }
  }

  /// The text with a change to the manifest.
  private func refusal(_ change: (inout Manifest) -> Void) throws -> String {
    var manifest = try #require(Self.valid).2
    change(&manifest)
    return refusal(manifest.text())?.description ?? "accepted"
  }

  @Test("The writer's own text is accepted, and gives the same manifest")
  func accepted() throws {
    let manifest = try #require(Self.valid).2
    #expect(try Manifest(text: manifest.text(), path: "m") == manifest)
  }

  @Test("Sizes, counts and places that do not fit are refused by name")
  func sizes() throws {
    func tensor(_ manifest: inout Manifest, _ change: (inout Manifest.Tensor) -> Void) { change(&manifest.tensors[0]) }
    #expect(try refusal { tensor(&$0) { $0.shape = [Int.max, Int.max] } }.contains("impossible"))
    #expect(try refusal { tensor(&$0) { $0.shape = [1 << 40] } }.contains("elements"))
    #expect(try refusal { tensor(&$0) { $0.slices[0].bytes = Int.max } }.contains("stored bytes"))
    #expect(try refusal { tensor(&$0) { $0.slices[0].range = 0..<1 << 62 } }.contains("too many"))
    #expect(try refusal { tensor(&$0) { $0.slices[0].file = 99 } }.contains("names file 99"))
    #expect(try refusal { tensor(&$0) { $0.slices[0].offset += 1 } }.contains("belong to no tensor"))
    #expect(try refusal { tensor(&$0) { $0.slices[0].offset -= 1 } }.contains("overlap"))
    #expect(try refusal { tensor(&$0) { $0.slices.removeAll() } }.contains("only 0 of its"))
    #expect(try refusal { tensor(&$0) { $0.slices.append($0.slices[0]) } }.contains("twice"))
    #expect(try refusal { $0.tensors.append($0.tensors[0]) }.contains("not in order"))
    #expect(try refusal { $0.tensors.insert($0.tensors[0], at: 0) }.contains("appears twice"))
    #expect(try refusal { $0.tensors.removeFirst(2) }.contains("belong to no tensor"))
    #expect(try refusal { $0.files[0].byteCount = Int.max }.contains("belong to no tensor"))
    #expect(try refusal { $0.files[1].name = $0.files[0].name }.contains("named twice"))
  }

  @Test("A small frame cannot claim a large content")
  func bomb() throws {
    let text = try refusal {
      $0.tensors = [$0.tensors[0]]
      $0.files = [Manifest.File(name: "replicated.qck", byteCount: Shard.header.count + 1000)]
      let count = 1 << 40
      $0.tensors[0].shape = [count]
      $0.tensors[0].slices[0].range = 0..<count
      $0.tensors[0].slices[0].file = 0
      $0.tensors[0].slices[0].offset = Shard.header.count
      $0.tensors[0].slices[0].bytes = 1000
    }
    #expect(text.contains("1000 stored bytes"))
  }

  @Test(
    "File names that lead elsewhere are refused",
    arguments: [
      "../x.qck", "/etc/passwd", "a/b.qck", ".qck", "..", "", "a.qck\u{0}", "A.qck", "x.json", "é.qck",
      String(repeating: "a", count: 100) + ".qck",
    ])
  func traversal(name: String) throws {
    #expect(try refusal { $0.files[0].name = name }.contains("cannot name a file"))
  }

  @Test("Text that is no manifest is refused at the byte where it goes wrong")
  func text() throws {
    let manifest = try #require(Self.valid).2
    let whole = String(decoding: manifest.text(), as: UTF8.self)
    let body = String(whole.dropFirst("{\"xxh64\":\"0123456789abcdef\"".count))
    func refuse(_ body: String) -> String { refusal(signed(Array(body.utf8)))?.description ?? "accepted" }
    #expect(refuse(body) == "accepted")
    let deep = String(repeating: "[", count: 1_000_000)
    #expect(refuse(",\"format\":" + deep).contains("a string expected"))
    #expect(
      refuse(body.replacingOccurrences(of: "\"shape\":[", with: "\"shape\":" + deep)).contains("unsigned integer"))
    #expect(
      refuse(body.replacingOccurrences(of: "\"shape\":[", with: "\"shape\":[1,1,1,1,1,1,1,1,1,")).contains(
        "more than 8"))
    #expect(refuse(body.replacingOccurrences(of: "\"version\":1", with: "\"version\":2")).contains("version 2"))
    #expect(refuse(body.replacingOccurrences(of: "\"step\":1", with: "\"step\":-1")).contains("unsigned integer"))
    #expect(
      refuse(body.replacingOccurrences(of: "\"step\":1", with: "\"step\":99999999999999999999")).contains("63 bits"))
    #expect(
      refuse(body.replacingOccurrences(of: "\"step\":1", with: "\"step\":1,\"step\":1")).contains("'ranks' expected"))
    #expect(
      refuse(body.replacingOccurrences(of: "\"kind\":\"master\"", with: "\"kind\":\"mystery\"")).contains("not one of"))
    #expect(refuse(body + "x").contains("text after"))
    #expect(refuse(String(body.dropLast(3))) != "accepted")
    #expect(refuse("").contains("first line"))
    #expect(refusal([])?.code == .malformedManifest)
    #expect(refusal(Array("null".utf8))?.code == .malformedManifest)
    // Not UTF-8, inside a string.
    #expect(refusal(signed(Array(",\"format\":\"".utf8) + [0xFF, 0xFE, 0x22]))?.code == .malformedManifest)
    // Many tensors of nothing: bounded by the text.
    let many = (0..<200_000).map {
      "{\"name\":\"t\($0)\",\"kind\":\"master\",\"type\":\"F32\",\"shape\":[0],\"slices\":[]}"
    }
    let start = try #require(body.range(of: "\"tensors\":["))
    #expect(refuse(body[..<start.upperBound] + many.joined(separator: ",") + "]}") != "accepted")
  }
}

/// Seconds of processor time of this thread.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
