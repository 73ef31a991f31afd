using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using Google.Protobuf;
using OnnxLlm.Training.Tracking.TensorBoard;

namespace OnnxLlm.Training.Tracking;

/// <summary>
/// Writes a TensorBoard event file into a folder: protocol buffers in TFRecord frames (length, its checksum, bytes, their checksum).
/// Each process of a run writes a file of its own, which begins with the step that it goes on from.
/// </summary>
internal sealed class EventFile : ITracker
{
    private const int StringType = 7;

    private readonly TimeProvider _clock;
    private FileStream? _file;
    private string? _complaint;

    public EventFile(string folder, long step, TimeProvider clock)
    {
        _clock = clock;
        Attempt(() =>
        {
            Directory.CreateDirectory(folder);
            var name = string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{clock.GetUtcNow().ToUnixTimeSeconds()}.{Directory.GetFiles(folder).Length}.onnxllm");
            _file = new FileStream(Path.Combine(folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        });
        Write(new Event { FileVersion = "brain.Event:2" });
        Write(new Event { Step = step, SessionLog = new SessionLog { Status = SessionLog.Types.Status.Start } });
    }

    public void Record(TrackedPoint point)
    {
        var summary = new Summary();
        summary.Value.Add(point.Numbers.Select(n => new Summary.Types.Value { Tag = n.Name, SimpleValue = (float)n.Value }));
        summary.Value.Add(point.Texts.Select(Text));
        if (summary.Value.Count > 0) Write(new Event { Step = point.Step, Summary = summary });
    }

    public string? Complaint()
    {
        var complaint = _complaint;
        _complaint = null;
        return complaint;
    }

    public void End(Outcome outcome) => Dispose();

    public void Dispose()
    {
        Attempt(() => _file?.Dispose());
        _file = null;
    }

    /// <summary>The checksum of the frames: CRC-32C, rotated by 15 bits and shifted by a constant, so that checksums of checksums are no accident.</summary>
    internal static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes) crc = BitOperations.Crc32C(crc, value);
        return BitOperations.RotateRight(~crc, 15) + 0xA282EAD8;
    }

    private static Summary.Types.Value Text((string Name, string Text) text) => new()
    {
        Tag = text.Name,
        Metadata = new SummaryMetadata { PluginData = new SummaryMetadata.Types.PluginData { PluginName = "text" } },
        Tensor = new TensorProto
        {
            Dtype = StringType,
            TensorShape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dim { Size = 1 } } },
            StringVal = { ByteString.CopyFromUtf8(text.Text) },
        },
    };

    private void Write(Event e)
    {
        if (_file is null) return;
        e.WallTime = _clock.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;
        var bytes = e.ToByteArray();
        Span<byte> head = stackalloc byte[12], tail = stackalloc byte[4];
        BinaryPrimitives.WriteInt64LittleEndian(head, bytes.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], Checksum(head[..8]));
        BinaryPrimitives.WriteUInt32LittleEndian(tail, Checksum(bytes));
        byte[] frame = [.. head, .. bytes, .. tail];
        Attempt(() =>
        {
            _file.Write(frame);
            _file.Flush();
        });
    }

    /// <summary>A disk that fails ends the file, not the run.</summary>
    private void Attempt(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _file = null;
            _complaint = $"The TensorBoard events end here: {e.Message.TrimEnd('.')}.";
        }
    }
}
