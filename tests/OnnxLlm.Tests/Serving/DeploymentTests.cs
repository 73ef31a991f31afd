using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using OnnxLlm.Serving;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Text;
using YamlDotNet.RepresentationModel;
using static OnnxLlm.Tests.Serving.DeploymentFile;

namespace OnnxLlm.Tests.Serving;

/// <summary>The deployment files say what the program understands, and keep to what they promise.</summary>
public sealed class DeploymentTests
{
    [Fact]
    public async Task Probes_AskRoutesThatThereAre_WithoutAKey()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right"] });
        var container = Container("server.yaml", "Deployment");
        foreach (var probe in new[] { "startupProbe", "readinessProbe", "livenessProbe" })
        {
            using var response = await server.Http.GetAsync(At(container, probe, "httpGet", "path").ToString());
            Assert.True(response.IsSuccessStatusCode, $"{probe}: {response.StatusCode}");
        }
    }

    [Fact]
    public void Arguments_AreOptionsOfTheServer()
    {
        var compose = Read("compose.yaml").Single();
        var lists = new[] { At(Container("server.yaml", "Deployment"), "args"), At(compose, "x-replica", "command") };
        foreach (var list in lists)
        {
            var (options, _) = CommandLine.Parse(Texts(list));
            Assert.NotNull(options);
            Assert.True(options.OpenMetrics);
            Assert.InRange(options.DrainSeconds, 1, 59);        // within the grace period
        }
    }

    /// <summary>The servers look for it where it is.</summary>
    [Fact]
    public void Redis_IsWhereTheServersLookForIt_AndTheSameEverywhere()
    {
        var compose = Read("compose.yaml").Single();
        Assert.Contains(SharedCache(At(compose, "x-replica", "command")).Host, ((YamlMappingNode)At(compose, "services")).Select(service => service.Key.ToString()));
        var (cache, service) = (SharedCache(At(Container("server.yaml", "Deployment"), "args")), Find("redis.yaml", "Service"));
        Assert.Equal(cache.Authority, $"{At(service, "metadata", "name")}:{At(service, "spec", "ports", 0, "port")}");
        Assert.Equal(At(Find("redis.yaml", "Deployment"), "spec", "template", "metadata", "labels"), At(service, "spec", "selector"));
        Assert.Equal(Texts(At(compose, "services", "redis", "command")), Texts(At(Container("redis.yaml", "Deployment"), "command")));
    }

    [Fact]
    public void Ports_OfTheComposeFile_AreOpenToThisMachineOnly()
    {
        var services = ((YamlMappingNode)At(Read("compose.yaml").Single(), "services")).Select(service => (YamlMappingNode)service.Value);
        var ports = services.Where(service => service.Children.ContainsKey("ports")).SelectMany(service => Texts(service["ports"])).ToList();
        Assert.NotEmpty(ports);
        Assert.All(ports, port => Assert.StartsWith("127.0.0.1:", port, StringComparison.Ordinal));
    }

    /// <summary>By the name that all replicas of the Compose file share, and its port.</summary>
    [Fact]
    public void Prometheus_ScrapesEveryReplicaOfTheComposeFile()
    {
        var (compose, job) = (Read("compose.yaml").Single(), At(Read("prometheus", "prometheus.yml").Single(), "scrape_configs", 0));
        var found = At(job, "dns_sd_configs", 0);
        var replicas = ((YamlMappingNode)At(compose, "services")).Where(service => service.Key.ToString().StartsWith("server-", StringComparison.Ordinal)).Select(service => service.Value).ToList();
        Assert.Equal(2, replicas.Count);
        Assert.All(replicas, replica => Assert.Equal(At(found, "names"), At(replica, "networks", "default", "aliases")));
        var urls = CommandLine.Parse(Texts(At(compose, "x-replica", "command"))).Options!.Urls;
        Assert.Equal(At(found, "port").ToString(), $"{new Uri(Assert.Single(urls)).Port}");
        Assert.All(Regex.Matches(File.ReadAllText(Repository.PathOf("deploy", "prometheus", "alerts.yml")), "job=\"([^\"]*)\""), named => Assert.Equal(At(job, "job_name").ToString(), named.Groups[1].Value));
    }

    /// <summary>Where the Compose file puts the dashboard, and where Prometheus is in it.</summary>
    [Fact]
    public void Grafana_FindsThePrometheusAndTheDashboardOfTheComposeFile()
    {
        var services = At(Read("compose.yaml").Single(), "services");
        var mounts = Texts(At(services, "grafana", "volumes")).Select(volume => volume.Split(':')).ToDictionary(parts => parts[0], parts => parts[1]);
        Assert.All(mounts.Keys, file => Assert.True(File.Exists(Repository.PathOf("deploy", file)), file));
        var provider = At(Read("grafana", "dashboards.yml").Single(), "providers", 0);
        Assert.Equal(("file", $"{Path.GetDirectoryName(mounts["./grafana/dashboard.json"])}"), (At(provider, "type").ToString(), At(provider, "options", "path").ToString()));
        Assert.All(new[] { "./grafana/sources.yml", "./grafana/dashboards.yml" }, file => Assert.StartsWith("/etc/grafana/provisioning/", mounts[file], StringComparison.Ordinal));

        var source = At(Read("grafana", "sources.yml").Single(), "datasources", 0);
        var address = new Uri(At(source, "url").ToString());
        Assert.True(((YamlMappingNode)services).Children.ContainsKey(address.Host), $"There is no service {address.Host}.");
        var dashboard = JsonNode.Parse(File.ReadAllText(Repository.PathOf("deploy", "grafana", "dashboard.json")))!;
        Assert.Equal((string?)dashboard["templating"]!["list"]![0]!["query"], At(source, "type").ToString());
    }

    /// <summary>What is started with <c>docker compose</c> or <c>kubectl</c>, and the patches in their places, by the schemas of both.</summary>
    [InstalledFact("tests/peers")]
    public async Task Files_KeepToTheSchemasOfComposeAndKubernetes()
    {
        var (code, output) = await CheckAsync(Repository.PathOf("deploy"));
        Assert.True(code == 0, output);
        Assert.Equal(12, output.Split('\n').Count(line => line.StartsWith("ok ", StringComparison.Ordinal)));
    }

    [InstalledFact("tests/peers")]
    public async Task Mistakes_AreSeenByTheSchemas()
    {
        using var copy = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(Repository.PathOf("deploy"), "*.yaml", SearchOption.AllDirectories))
        {
            var text = await File.ReadAllTextAsync(file);
            copy.Write(Path.GetRelativePath(Repository.PathOf("deploy"), file), text
                .Replace("stop_grace_period", "stop_grace_time", StringComparison.Ordinal).Replace("timeoutSeconds: 12", "timeoutSecs: 12", StringComparison.Ordinal).Replace("maxReplicas: 8", "maxReplicas: many", StringComparison.Ordinal));
        }

        var (code, output) = await CheckAsync(copy.Path);
        Assert.Equal(1, code);
        Assert.Contains("/services/server-a must NOT have additional properties", output, StringComparison.Ordinal);
        Assert.Contains("/spec/template/spec/containers/0/readinessProbe/timeoutSecs is unknown", output, StringComparison.Ordinal);
        Assert.Contains("/spec/maxReplicas breaks type", output, StringComparison.Ordinal);
    }

    private static Task<(int ExitCode, string Output)> CheckAsync(string folder) => InstalledProgram.RunAsync("node", Repository.PathOf("tests", "peers", "check-deployment.mjs"), folder);

    [Theory]
    [InlineData("server.yaml", "Deployment")]
    [InlineData("redis.yaml", "Deployment")]
    [InlineData("training-job.yaml", "Job")]
    public void Pods_AreNotRoot_AndCannotWriteToTheirImage(string file, string kind)
    {
        var pod = Pod(file, kind);
        Assert.Equal("true", At(pod, "securityContext", "runAsNonRoot").ToString());
        var container = Container(file, kind);
        Assert.Equal("true", At(container, "securityContext", "readOnlyRootFilesystem").ToString());
        Assert.Equal("false", At(container, "securityContext", "allowPrivilegeEscalation").ToString());
        Assert.Equal("ALL", At(container, "securityContext", "capabilities", "drop", 0).ToString());
    }

    [Fact]
    public void Autoscaler_FollowsTheQueue_OfTheDeployment()
    {
        var scaler = Find("server.yaml", "HorizontalPodAutoscaler");
        Assert.Equal("onnxllm_num_requests_waiting", At(scaler, "spec", "metrics", 0, "pods", "metric", "name").ToString());
        var (target, deployment) = (At(scaler, "spec", "scaleTargetRef", "name"), Find("server.yaml", "Deployment"));
        Assert.Equal(At(deployment, "metadata", "name"), target);
        var labels = At(deployment, "spec", "template", "metadata", "labels");
        foreach (var selector in new[] { At(deployment, "spec", "selector", "matchLabels"), At(Find("server.yaml", "PodDisruptionBudget"), "spec", "selector", "matchLabels"), At(Find("server.yaml", "Service"), "spec", "selector") })
            Assert.Equal(labels, selector);
    }

    [Fact]
    public void Grace_IsLongerThanTheDrain()
    {
        var pod = Pod("server.yaml", "Deployment");
        var arguments = Texts(At(Container("server.yaml", "Deployment"), "args")).ToList();
        Assert.True(int.Parse(At(pod, "terminationGracePeriodSeconds").ToString()) >= int.Parse(arguments[arguments.IndexOf("--drain-seconds") + 1]) + 10);
    }

    [Fact]
    public void Network_LetsInWhoAsksAndWatches_AndOutToWhatTheServerNeeds()
    {
        var policy = At(Find("server.yaml", "NetworkPolicy"), "spec");
        var (open, container) = (Assert.Single(Rules(policy, "ingress", "from")), Container("server.yaml", "Deployment"));
        Assert.Equal([(At(container, "ports", 0, "containerPort").ToString(), "TCP")], open.Ports);
        Assert.Equal(["{}", "ingress-nginx", "monitoring"], open.Peers);

        var arguments = CommandLine.Parse(Texts(At(container, "args"))).Options!;
        (string[], (string, string)[])[] needed =
        [
            (["kube-system/kube-dns"], [("53", "UDP"), ("53", "TCP")]),
            ([At(Find("redis.yaml", "Deployment"), "spec", "template", "metadata", "labels", "app").ToString()], [($"{arguments.SharedCache!.Port}", "TCP")]),
            (["monitoring"], [("4318", "TCP")]),         // OTLP over HTTP
        ];
        Assert.Equal(needed, Rules(policy, "egress", "to"));
    }

    /// <summary>Of each rule the other side, by the values of its labels, and the ports.</summary>
    private static IEnumerable<(string[] Peers, (string Port, string Protocol)[] Ports)> Rules(YamlNode policy, string direction, string side) =>
        ((YamlSequenceNode)policy[direction]).Select(rule => (
            ((YamlSequenceNode)rule[side]).Select(peer => string.Join('/', ((YamlMappingNode)peer).Children.Values.Cast<YamlMappingNode>().Select(Labels))).ToArray(),
            ((YamlSequenceNode)rule["ports"]).Cast<YamlMappingNode>().Select(port => (port["port"].ToString(), port.Children.TryGetValue("protocol", out var given) ? given.ToString() : "TCP")).ToArray()));

    private static string Labels(YamlMappingNode selector) =>
        selector.Children.TryGetValue("matchLabels", out var labels) ? string.Join(',', ((YamlMappingNode)labels).Children.Values.Select(value => value.ToString())) : "{}";

    private static Uri SharedCache(YamlNode arguments) => CommandLine.Parse(Texts(arguments)).Options!.SharedCache!;

    private static YamlNode Container(string file, string kind) => At(Pod(file, kind), "containers", 0);

    private static YamlNode Pod(string file, string kind) => At(Find(file, kind), "spec", "template", "spec");
}
