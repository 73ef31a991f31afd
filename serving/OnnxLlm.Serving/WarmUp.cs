using System.Net;
using System.Net.Sockets;
using System.Text;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving;

/// <summary>
/// Has the code compiled on which the first client would wait. A second server, of this process and for a moment, answers a chat and a completion over a socket: it has
/// metrics, caches and quotas of its own, so nothing of this is counted anywhere.
/// </summary>
internal static class WarmUp
{
    private const int Context = 256;
    private const string Chat = """{"model":"m","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":4,"temperature":0.8,"seed":1,"stream":true,"stream_options":{"include_usage":true}}""";
    private const string Completion = """{"model":"m","prompt":"Hello","max_tokens":4,"temperature":0}""";

    /// <param name="model">Gives tokenizer and template; its weights are not used.</param>
    /// <exception cref="ServingException">It was not answered.</exception>
    /// <returns>False if the program was asked to end meanwhile.</returns>
    public static async Task<bool> RunAsync(ServedModel model)
    {
        var options = new ServerOptions { Model = "m", Urls = ["http://127.0.0.1:0"], Playground = false };
        var described = model with { Id = "m", Aliases = [], Context = Context, Template = model.Template ?? ChatTemplates.Find("plain", model.Tokenizer) };
        await using var app = ServerHost.Build(options, [new ModelSource(described, new MuteModel(model.VocabularySize))], logging: _ => { });
        await app.StartAsync().ConfigureAwait(false);
        var port = new Uri(app.Urls.Single()).Port;
        await AskAsync(port, "/v1/chat/completions", Chat).ConfigureAwait(false);
        await AskAsync(port, "/v1/completions", Completion).ConfigureAwait(false);
        return !app.Services.GetRequiredService<Drain>().IsDraining;
    }

    /// <summary>By hand: a client of the framework would have to be compiled as well.</summary>
    private static async Task AskAsync(int port, string path, string body)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync(IPAddress.Loopback, port).ConfigureAwait(false);
        var stream = connection.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}")).ConfigureAwait(false);
        var answer = new MemoryStream();
        await stream.CopyToAsync(answer).ConfigureAwait(false);
        if (!answer.GetBuffer().AsSpan(0, (int)answer.Length).StartsWith("HTTP/1.1 200"u8)) throw new ServingException($"{path} was refused.");
    }

    /// <summary>All tokens are equally likely to it, whatever it has read.</summary>
    private sealed class MuteModel(int vocabulary) : IModelRunner
    {
        private readonly float[] _scores = new float[vocabulary];
        private readonly int[] _best = [0];

        public int Slots => 1;

        public int MaxLength => Context;

        public int VocabularySize => vocabulary;

        public long BytesOf(int length) => length;

        public int Width => 1;

        public bool GivesAll => false;

        public bool ReadsWhileDecoding => false;

        public ReadOnlySpan<float> Prefill(int slot, ReadOnlySpan<int> tokens, int past) => _scores;

        public ReadOnlySpan<float> Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts) => _scores;

        public ReadOnlySpan<int> DecodeBest(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts) => _best;

        public ReadOnlySpan<float> DecodedScores() => _scores;

        public ReadOnlySpan<float> Score(int slot, ReadOnlySpan<int> tokens, int past) => throw new ServingException("It scores no prompts.");

        public ReadOnlySpan<float> Hidden(int slot, ReadOnlySpan<int> tokens, int past) => throw new ServingException("It has no states.");

        public ReadOnlySpan<float> DecodeAndRead(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past) => throw new ServingException("It has one slot.");

        public void Move(int from, int to)
        {
        }

        public void Save(int slot, int length, int entry)
        {
        }

        public void Load(int entry, int length, int slot)
        {
        }

        public void Drop(int entry)
        {
        }

        public void Dispose()
        {
        }
    }
}
