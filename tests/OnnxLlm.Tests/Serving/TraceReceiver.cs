using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>A span as it came over the wire.</summary>
internal sealed record ReceivedSpan(string TraceId, string SpanId, string ParentId, string Name, int Kind, ulong Start, ulong End, IReadOnlyDictionary<string, string> Tags, int Status);

/// <summary>What a histogram holds under one set of tags.</summary>
internal sealed record ReceivedPoint(string Histogram, string Unit, IReadOnlyDictionary<string, string> Tags, ulong Count, double Sum, IReadOnlyList<double> Bounds);

/// <summary>As much of an OpenTelemetry collector as a test needs: takes OTLP over HTTP and reads the spans and histograms out of it.</summary>
internal sealed class TraceReceiver : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly List<(string Path, byte[] Body)> _bodies = [];

    public TraceReceiver()
    {
        Address = new Uri($"http://127.0.0.1:{FreePort.Find()}/");
        _listener.Prefixes.Add(Address.ToString());
        _listener.Start();
        _ = ListenAsync();
    }

    public Uri Address { get; }

    /// <summary>All that was received, as text, to look for what must not be in it.</summary>
    public string Raw
    {
        get { lock (_bodies) return string.Concat(_bodies.Select(message => Encoding.Latin1.GetString(message.Body))); }
    }

    public ReceivedSpan[] Spans(string trace) => [.. Received("/v1/traces").Select(Span).Where(span => span.TraceId == trace)];

    /// <summary>Of one model, as they were last sent.</summary>
    public ReceivedPoint[] Points(string model)
    {
        var points = Received("/v1/metrics").SelectMany(Points).Where(point => point.Tags["gen_ai.request.model"] == model);
        return [.. points.GroupBy(point => $"{point.Histogram} {string.Join(' ', point.Tags.OrderBy(tag => tag.Key, StringComparer.Ordinal))}").Select(sent => sent.Last())];
    }

    public void Dispose() => _listener.Close();

    /// <summary>What lies in the scopes of the resources that were sent there.</summary>
    private List<byte[]> Received(string path)
    {
        lock (_bodies)
            return [.. _bodies.Where(message => message.Path == path).SelectMany(message => Messages(message.Body, 1)).SelectMany(resource => Messages(resource, 2)).SelectMany(scope => Messages(scope, 2))];
    }

    private async Task ListenAsync()
    {
        while (_listener.IsListening)
        {
            try
            {
                var context = await _listener.GetContextAsync();
                using var body = new MemoryStream();
                await context.Request.InputStream.CopyToAsync(body);
                lock (_bodies) _bodies.Add((context.Request.Url!.AbsolutePath, body.ToArray()));
                context.Response.Close();
            }
            catch (Exception end) when (end is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private static ReceivedSpan Span(byte[] span)
    {
        var fields = Fields(span).ToLookup(field => field.Number, field => field.Value);
        var tags = Messages(span, 9).Select(Tag).ToDictionary(tag => tag.Key, tag => tag.Value);
        var status = fields[15].Select(value => Fields((byte[])value).Where(field => field.Number == 3).Select(field => (int)(ulong)field.Value).FirstOrDefault()).FirstOrDefault();
        return new ReceivedSpan(Hex(1), Hex(2), Hex(4), Encoding.UTF8.GetString((byte[])fields[5].Single()), (int)(ulong)fields[6].Single(), (ulong)fields[7].Single(), (ulong)fields[8].Single(), tags, status);

        string Hex(int number) => Convert.ToHexStringLower((byte[])fields[number].FirstOrDefault(Array.Empty<byte>()));
    }

    private static IEnumerable<ReceivedPoint> Points(byte[] metric)
    {
        var (name, unit) = (Encoding.UTF8.GetString(Messages(metric, 1).Single()), Encoding.UTF8.GetString(Messages(metric, 3).Single()));
        foreach (var point in Messages(metric, 9).SelectMany(histogram => Messages(histogram, 1)))
        {
            var fields = Fields(point).ToLookup(field => field.Number, field => field.Value);
            var bounds = fields[7].SelectMany(packed => MemoryMarshal.Cast<byte, double>((byte[])packed).ToArray()).ToArray();
            yield return new ReceivedPoint(name, unit, Messages(point, 9).Select(Tag).ToDictionary(tag => tag.Key, tag => tag.Value), (ulong)fields[4].Single(), BitConverter.UInt64BitsToDouble((ulong)fields[5].Single()), bounds);
        }
    }

    private static (string Key, string Value) Tag(byte[] pair) =>
        (Encoding.UTF8.GetString(Messages(pair, 1).Single()), Value(Messages(pair, 2).Single()));

    private static string Value(byte[] any)
    {
        var (number, value) = Fields(any).Single();
        return number switch
        {
            1 => Encoding.UTF8.GetString((byte[])value),
            4 => FormattableString.Invariant($"{BitConverter.UInt64BitsToDouble((ulong)value)}"),
            5 => string.Join(',', Messages((byte[])value, 1).Select(Value)),
            _ => $"{value}",
        };
    }

    private static IEnumerable<byte[]> Messages(byte[] message, int number) => Fields(message).Where(field => field.Number == number).Select(field => (byte[])field.Value);

    /// <summary>Byte strings, and numbers as <see cref="ulong"/>.</summary>
    private static List<(int Number, object Value)> Fields(byte[] message)
    {
        var (reader, fields) = (new CodedInputStream(message), new List<(int, object)>());
        while (reader.ReadTag() is var tag && tag != 0)
        {
            object value = WireFormat.GetTagWireType(tag) switch
            {
                WireFormat.WireType.LengthDelimited => reader.ReadBytes().ToByteArray(),
                WireFormat.WireType.Fixed64 => reader.ReadFixed64(),
                WireFormat.WireType.Fixed32 => (ulong)reader.ReadFixed32(),
                _ => reader.ReadUInt64(),
            };
            fields.Add((WireFormat.GetTagFieldNumber(tag), value));
        }

        return fields;
    }
}
