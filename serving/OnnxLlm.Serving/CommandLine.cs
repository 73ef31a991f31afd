using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving;

/// <summary>The server's options as a user types them.</summary>
internal static class CommandLine
{
    private static readonly Option<string[]> Model = new("--model") { Description = "Folder of a model package, or <name>=<folder>; may be given several times.", Required = true };
    private static readonly Option<string[]> Urls = new("--urls") { Description = "Addresses to listen on (default: http://127.0.0.1:8080)." };
    private static readonly Option<int> Slots = Number("--slots", 8, 1, 1024, "Sequences decoded together.");
    private static readonly Option<int> KeyValueMegabytes = Number("--kv-cache-mb", 0, 0, 1 << 20, "Memory for keys and values of sequences decoded together: fewer are, where they would take more; 0 for no limit.");
    private static readonly Option<int?> MaxLength = new("--max-length") { Description = "Tokens of prompt and answer together (default: what the model was made for)." };
    private static readonly Option<string> Device = new("--device") { Description = "What computes: cpu, cuda, or cuda:N for the GPU of that number (default: ONNXLLM_DEVICE, else cpu).", DefaultValueFactory = _ => Environment.GetEnvironmentVariable("ONNXLLM_DEVICE") ?? "cpu" };
    private static readonly Option<string> Dtype = Word("--dtype", "On a GPU: the type of activations and cache (default: float16). bfloat16 is for models whose numbers float16 cannot hold.", "float16", "bfloat16");
    private static readonly Option<int> Threads = Number("--threads", 0, 0, 1024, "Threads of the forward pass; 0 for all cores.");
    private static readonly Option<int> PrefillChunk = Number("--prefill-chunk", 128, 1, 65536, "Prompt tokens read between two decodes; twice as many where nobody is held up, or others wait behind a short prompt.");
    private static readonly Option<int> Pace = Number("--pace-ms", 40, 0, 1000, "Tokens of a stream leave at most once in this time, together if there are several.");
    private static readonly Option<int> PrefixMegabytes = Number("--prefix-cache-mb", 256, 0, 1 << 20, "Memory for beginnings of prompts that need not be read again, and for answers that more urgent ones interrupt; 0 for none.");
    private static readonly Option<int> LatencyTarget = Number("--latency-target-ms", 0, 0, 60000, "Time between two tokens to aim at by decoding fewer sequences together; 0 for no aim.");
    private static readonly Option<int> Speculate = Number("--speculate", 0, 0, 64, "Tokens guessed ahead from the text so far while one answer is generated alone; 0 for none.");
    private static readonly Option<int> Queue = Number("--queue", 256, 1, 65536, "Sequences that may wait; more get 429.");
    private static readonly Option<string[]> ApiKey = new("--api-key") { Description = "A key that clients must send; may be given several times. ONNXLLM_API_KEY works too." };
    private static readonly Option<string[]> AdminKey = new("--admin-key") { Description = "A key that also loads and unloads models; without one nobody can." };
    private static readonly Option<string> KeyFile = new("--key-file") { Description = "JSON file with hashes of keys, their rights and quotas." };
    private static readonly Option<int> Watch = Number("--watch-seconds", 0, 0, 86400, "Seconds between two looks for a newer model in its folder; 0 for none.");
    private static readonly Option<string> ChatTemplate = new("--chat-template") { Description = "plain or chatml (default: the model's own)." };
    private static readonly Option<string> Name = new("--name") { Description = "The model's name in the API (default: the folder's)." };
    private static readonly Option<string[]> Alias = new("--alias") { Description = "Another name for the model; may be given several times." };
    private static readonly Option<int> CacheMegabytes = Number("--cache-mb", 64, 0, 65536, "Memory for answers to deterministic requests; 0 for none.");
    private static readonly Option<int> DrainSeconds = Number("--drain-seconds", 30, 0, 3600, "Time for running requests when the server is asked to end.");
    private static readonly Option<int> RequestTimeout = Number("--request-timeout", 0, 0, 86400, "Seconds after which an answer that is not complete is given up; 0 for no limit.");
    private static readonly Option<int> MaxChoices = Number("--max-n", 8, 1, 128, "Answers that one request may ask for.");
    private static readonly Option<int> MaxConnections = Number("--max-connections", 4096, 1, 1 << 20, "Connections at a time; further ones are closed as they come.");
    private static readonly Option<bool> OpenMetrics = new("--open-metrics") { Description = "/metrics needs no key." };
    private static readonly Option<string> MetricsAliases = Word("--metrics-aliases", "Metrics also under the names that dashboards of others ask for.", VllmNames.Option);
    private static readonly Option<string> ContentFilter = new("--content-filter") { Description = "JSON file that says what may not be asked and answered." };
    private static readonly Option<Uri?> Otlp = Address("--otlp", ["http", "https"], "Collector of OpenTelemetry traces and metrics, as in http://collector:4318 (OTLP over HTTP).", "OTEL_EXPORTER_OTLP_ENDPOINT");
    private static readonly Option<Uri?> Redis = Address("--redis", ["redis", "rediss"], "Redis in which replicas share answers to deterministic requests, as in redis://:password@host:6379/0; rediss:// for TLS.", "ONNXLLM_REDIS");
    private static readonly Option<bool> NoPlayground = new("--no-playground") { Description = "No page for people at /." };

    /// <returns>The options, or the exit code of a run that ends here: help, or a mistake already reported.</returns>
    public static (ServerOptions? Options, int ExitCode) Parse(string[] args)
    {
        var command = new RootCommand("Serves a model package over an OpenAI-compatible HTTP API.")
        {
            Model, Urls, ApiKey, AdminKey, KeyFile, Watch, Slots, KeyValueMegabytes, MaxLength, Device, Dtype, Threads, PrefillChunk, Pace, PrefixMegabytes, LatencyTarget, Speculate, Queue, ChatTemplate, Name, Alias, CacheMegabytes, DrainSeconds, RequestTimeout, MaxChoices, MaxConnections, OpenMetrics, MetricsAliases,
            NoPlayground, Otlp, ContentFilter, Redis,
        };

        var parsed = command.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            Console.Error.WriteLine($"{string.Join(' ', parsed.Errors.Select(error => error.Message))} See --help.");
            return (null, 2);
        }

        return parsed.Action is null ? (Bind(parsed), 0) : (null, parsed.Invoke());
    }

    private static ServerOptions Bind(ParseResult parsed)
    {
        var options = new ServerOptions
        {
            Model = parsed.GetRequiredValue(Model)[0],
            Models = [.. parsed.GetRequiredValue(Model)],
            WatchSeconds = parsed.GetValue(Watch),
            Slots = parsed.GetValue(Slots),
            KeyValueBytes = parsed.GetValue(KeyValueMegabytes) is > 0 and var megabytes ? (long)megabytes << 20 : long.MaxValue,
            MaxLength = parsed.GetValue(MaxLength),
            Device = parsed.GetValue(Device)!,
            Dtype = parsed.GetValue(Dtype),
            Threads = parsed.GetValue(Threads),
            ApiKeys = [.. parsed.GetValue(ApiKey) ?? [], .. KeysOfEnvironment()],
            AdminKeys = [.. parsed.GetValue(AdminKey) ?? []],
            KeyFile = parsed.GetValue(KeyFile),
            ChatTemplate = parsed.GetValue(ChatTemplate),
            Name = parsed.GetValue(Name),
            Aliases = [.. parsed.GetValue(Alias) ?? []],
            OpenMetrics = parsed.GetValue(OpenMetrics),
            VllmMetrics = parsed.GetValue(MetricsAliases) is not null,
            SharedCache = parsed.GetValue(Redis),
            ContentFilter = parsed.GetValue(ContentFilter),
            TraceCollector = parsed.GetValue(Otlp),
            Playground = !parsed.GetValue(NoPlayground),
            DrainSeconds = parsed.GetValue(DrainSeconds),
            RequestTimeout = parsed.GetValue(RequestTimeout) is > 0 and var seconds ? TimeSpan.FromSeconds(seconds) : Timeout.InfiniteTimeSpan,
            CacheBytes = (long)parsed.GetValue(CacheMegabytes) << 20,
            Engine = Engine(parsed),
            Limits = new() { Choices = parsed.GetValue(MaxChoices), Sequences = parsed.GetValue(Queue), Connections = parsed.GetValue(MaxConnections) },
        };
        return parsed.GetValue(Urls) is { Length: > 0 } urls ? options with { Urls = [.. urls.SelectMany(url => url.Split(';'))] } : options;
    }

    private static EngineSettings Engine(ParseResult parsed) => new()
    {
        QueueLimit = parsed.GetValue(Queue),
        PrefillChunk = parsed.GetValue(PrefillChunk),
        DeliveryPace = TimeSpan.FromMilliseconds(parsed.GetValue(Pace)),
        PrefixCacheBytes = (long)parsed.GetValue(PrefixMegabytes) << 20,
        Speculation = parsed.GetValue(Speculate),
        LatencyTarget = TimeSpan.FromMilliseconds(parsed.GetValue(LatencyTarget)),
    };

    private static string[] KeysOfEnvironment() =>
        Environment.GetEnvironmentVariable("ONNXLLM_API_KEY") is { Length: > 0 } keys ? keys.Split(',', StringSplitOptions.RemoveEmptyEntries) : [];

    /// <param name="variable">Of the environment, which is used where the option is not.</param>
    private static Option<Uri?> Address(string name, string[] schemes, string description, string variable)
    {
        Uri? Read(ArgumentResult result, string source, string text)
        {
            if (Uri.TryCreate(text.TrimEnd('/') + '/', UriKind.Absolute, out var address) && schemes.Contains(address.Scheme)) return address;
            result.AddError($"{source} must be an address that begins with {schemes[0]}://, not '{text}'.");
            return null;
        }

        return new Option<Uri?>(name)
        {
            Description = $"{description} {variable} works too.",
            DefaultValueFactory = result => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? Read(result, variable, text) : null,
            CustomParser = result => Read(result, name, result.Tokens.Single().Value),
        };
    }

    /// <summary>An option that takes one of a few words.</summary>
    private static Option<string> Word(string name, string description, params string[] words)
    {
        var choice = string.Join(" or ", words);
        var option = new Option<string>(name) { Description = $"{description} Takes {choice}." };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { } text && !words.Contains(text)) result.AddError($"{name} must be {choice}, not '{text}'.");
        });
        return option;
    }

    private static Option<int> Number(string name, int usual, int min, int max, string description)
    {
        int Read(ArgumentResult result)
        {
            var text = result.Tokens.Single().Value;
            if (int.TryParse(text, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return number;
            result.AddError($"{name} must be an integer from {min} to {max}, not '{text}'.");
            return usual;
        }

        return new Option<int>(name) { Description = $"{description} {min} to {max}.", DefaultValueFactory = _ => usual, CustomParser = Read };
    }
}
